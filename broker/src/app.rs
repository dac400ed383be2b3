//! Puts the parts together: [`build`] binds and returns real addresses, [`Bound::run`] serves until told to stop.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use keyward_kit::{
    admin::{Admin, BoundAdmin},
    ready::Readiness,
    tasks::{TaskError, Tasks},
    tls::{Limits, ServerTls, TlsError, incoming},
};
use keyward_proto::{
    FILE_DESCRIPTOR_SET, MAX_REPLY_BYTES, MAX_REQUEST_BYTES,
    v1::{
        cache_server::CacheServer, references_server::ReferencesServer, secrets_server::SecretsServer,
        sync_server::SyncServer,
    },
};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    service::{LayerExt as _, Routes},
    transport::Server,
};

use crate::{
    args::ServeArgs,
    audit::AuditLog,
    authn::Authenticator,
    cache::ObjectCache,
    changes::{Change, Changes},
    grpc::{
        cache::{CacheService, VaultState},
        ending::EndStreams,
        guard::Guard,
        references::ReferencesService,
        secrets::SecretsService,
        sync::SyncService,
    },
    metrics::{Metrics, State},
    policy::{Defaults, Snapshot, VaultEntry},
    poll::{Refresh, Refreshed},
    rate::{Limiter, Rate},
    readers::Readers,
    resolve::Resolver,
    setup::{self, SetupError},
    source::dir::{Directory, DirectoryError, LOOK_EVERY},
    vault::origin::Origin,
};

/// From the first byte of a request to its reply. Above the longest that a method takes by itself, a `Refresh`.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(65);
/// Requests at a time on one connection; more wait.
const MAX_STREAMS: u32 = 256;
/// Room for a token of 16 KiB and the usual headers.
const MAX_HEADER_BYTES: u32 = 32 * 1024;
const LIMITS: Limits = Limits { max_connections: 10_000, handshake_timeout: Duration::from_secs(10) };
/// A dead peer is noticed after both.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));
/// A connection is asked to end after it, so that none holds its place for good; a client opens another.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(3_600);
/// The kubelet takes a minute or more to bring a new certificate; looking is cheap.
const RELOAD_EVERY: Duration = Duration::from_secs(10);

/// A broker that listens and does not answer yet.
pub struct Bound {
    grpc: SocketAddr,
    admin: SocketAddr,
    tasks: Tasks,
    drain: Duration,
}

/// Why the broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({flag}): {source}")]
    Listen {
        /// Which flag gave it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The broker's own certificate.
    #[error("--tls-dir: {0}")]
    Tls(#[from] TlsError),
    /// The manifests.
    #[error(transparent)]
    Source(#[from] DirectoryError),
    /// Identity, issuer or trust.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The reflection service refuses our own descriptors.
    #[error("gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Reads the configuration's files, binds both ports, and prepares every task.
pub async fn build(args: ServeArgs, audit: AuditLog) -> Result<Bound, StartError> {
    let mut registry = Registry::with_prefix("keyward");
    let metrics = Arc::new(Metrics::new(&mut registry));
    let directory = Directory::new(&args.source, setup::defaults(&args));
    let first = directory.read()?;
    let digest = first.digest();
    announce(&first.snapshot);
    let (authenticator, refresher) = setup::authenticator(&args)?;
    let reads = TaskTracker::new();
    let parts = Parts {
        snapshot: Arc::new(ArcSwap::from_pointee(first.snapshot)),
        cache: ObjectCache::new(args.cache_max_bytes, reads.clone()),
        readers: Arc::new(Readers::new(setup::opener(&args)?, Arc::clone(&metrics))),
        authenticator,
        audit: Arc::new(audit),
        metrics,
        changes: Changes::default(),
        trust_domain: args.trust_domain.clone(),
        requests_per_pod: args.requests_per_pod.get(),
    };
    registry.register_collector(Box::new(State { cache: parts.cache.clone(), snapshot: Arc::clone(&parts.snapshot) }));
    let tls = ServerTls::load(&args.tls_dir)?;
    let (listener, grpc) = listen(args.listen).await?;
    let readiness = Readiness::new();
    let keys_read = readiness.require("issuer's keys");
    let admin = bind_admin(&args, registry, &readiness).await?;
    let admin_address = admin.addr();

    let mut tasks = Tasks::new();
    spawn_grpc(&mut tasks, &parts, tls, listener, readiness).await?;
    spawn_manifests(&mut tasks, &parts, directory, digest);
    tasks.spawn("issuer's keys", refresher.run(keys_read, tasks.drain()));
    let close = tasks.close();
    tasks.spawn_outliving("vault reads", async move {
        close.cancelled().await;
        reads.close();
        reads.wait().await;
        Ok::<_, std::convert::Infallible>(())
    });
    tasks.spawn_outliving("admin port", admin.serve(tasks.close()));
    Ok(Bound { grpc, admin: admin_address, tasks, drain: args.drain })
}

impl Bound {
    /// Where gRPC is served.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// Where the admin port is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Serves until `signal`, then lets requests under way finish.
    pub async fn run(self, signal: impl Future<Output = ()>) -> Result<(), TaskError> {
        tracing::info!(grpc = %self.grpc, admin = %self.admin, "serving");
        self.tasks.run_until(signal, self.drain).await
    }
}

/// What the services share.
struct Parts {
    snapshot: Arc<ArcSwap<Snapshot>>,
    cache: ObjectCache,
    readers: Arc<Readers>,
    authenticator: Arc<dyn Authenticator>,
    audit: Arc<AuditLog>,
    metrics: Arc<Metrics>,
    changes: Changes,
    trust_domain: String,
    requests_per_pod: u32,
}

impl Parts {
    fn resolver(&self) -> Resolver {
        Resolver::new(Arc::clone(&self.snapshot), self.cache.clone(), Arc::clone(&self.readers))
    }

    fn secrets(&self) -> SecretsServer<SecretsService> {
        SecretsServer::new(SecretsService {
            authenticator: Arc::clone(&self.authenticator),
            resolver: self.resolver(),
            audit: Arc::clone(&self.audit),
            metrics: Arc::clone(&self.metrics),
            requests: Limiter::new(Rate::of_a_pod(self.requests_per_pod)),
        })
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(MAX_REPLY_BYTES)
    }

    fn sync(&self, drain: CancellationToken) -> SyncServer<SyncService> {
        let (snapshot, audit) = (Arc::clone(&self.snapshot), Arc::clone(&self.audit));
        let (metrics, changes) = (Arc::clone(&self.metrics), self.changes.clone());
        SyncServer::new(SyncService::new(snapshot, self.resolver(), audit, metrics, changes, drain))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_REPLY_BYTES)
    }

    fn references(&self) -> ReferencesServer<ReferencesService> {
        ReferencesServer::new(ReferencesService { snapshot: Arc::clone(&self.snapshot) })
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_REPLY_BYTES)
    }

    fn cache(&self) -> CacheServer<CacheService> {
        CacheServer::new(CacheService {
            snapshot: Arc::clone(&self.snapshot),
            cache: self.cache.clone(),
            readers: Arc::clone(&self.readers),
            states: Arc::new(|_: &VaultEntry| VaultState::default()),
            refresh: Arc::new(NotPolled),
            authenticator: Arc::clone(&self.authenticator),
            resolver: self.resolver(),
        })
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(MAX_REPLY_BYTES)
    }
}

/// Until vaults are polled there is nothing to check.
struct NotPolled;

#[async_trait::async_trait]
impl Refresh for NotPolled {
    async fn refresh(&self, _: Option<&Origin>) -> Vec<Refreshed> {
        Vec::new()
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { flag: "--listen", address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn bind_admin(args: &ServeArgs, registry: Registry, readiness: &Readiness) -> Result<BoundAdmin, StartError> {
    let address = args.admin_listen;
    let admin = Admin { registry: Arc::new(registry), readiness: readiness.clone() };
    admin.bind(address).await.map_err(|source| StartError::Listen { flag: "--admin-listen", address, source })
}

async fn spawn_grpc(
    tasks: &mut Tasks,
    parts: &Parts,
    tls: ServerTls,
    listener: TcpListener,
    readiness: Readiness,
) -> Result<(), StartError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<SecretsServer<SecretsService>>().await;
    health.set_serving::<SyncServer<SyncService>>().await;
    health.set_serving::<ReferencesServer<ReferencesService>>().await;
    health.set_serving::<CacheServer<CacheService>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let drain = tasks.drain();
    let routes = Routes::new(parts.secrets())
        .add_service(parts.sync(drain.clone()))
        .add_service(parts.references())
        .add_service(parts.cache())
        .add_service(EndStreams::at(drain.clone()).named_layer(health_service))
        .add_service(EndStreams::at(drain.clone()).named_layer(reflection));
    let connections = incoming(listener, tls.clone(), LIMITS, drain.clone());
    let server = Server::builder()
        .timeout(REQUEST_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_connection_age(MAX_CONNECTION_AGE)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .layer(Guard::new(&parts.trust_domain))
        .add_routes(routes);
    tasks.spawn("gRPC server", server.serve_with_incoming_shutdown(connections, drain.clone().cancelled_owned()));
    tasks.spawn("certificate reload", tls.watch(RELOAD_EVERY, drain.clone()));
    tasks.spawn("readiness", async move {
        drain.cancelled().await;
        readiness.set_draining();
        health.set_not_serving::<SecretsServer<SecretsService>>().await;
        health.set_not_serving::<SyncServer<SyncService>>().await;
        health.set_not_serving::<ReferencesServer<ReferencesService>>().await;
        health.set_not_serving::<CacheServer<CacheService>>().await;
        Ok::<_, std::convert::Infallible>(())
    });
    Ok(())
}

fn spawn_manifests(tasks: &mut Tasks, parts: &Parts, directory: Directory, digest: u64) {
    let (readers, changes) = (Arc::clone(&parts.readers), parts.changes.clone());
    let changed = move |snapshot: &Snapshot| {
        announce(snapshot);
        readers.retain(snapshot);
        changes.tell(Change::Declarations);
    };
    let watch = directory.watch(digest, Arc::clone(&parts.snapshot), LOOK_EVERY, changed, tasks.drain());
    tasks.spawn("manifests", async move {
        watch.await;
        Ok::<_, std::convert::Infallible>(())
    });
}

fn announce(snapshot: &Snapshot) {
    let Defaults { access, .. } = snapshot.defaults();
    tracing::info!(secrets = snapshot.secrets().count(), vaults = snapshot.vaults().count(), ?access, "manifests read");
    for problem in snapshot.problems() {
        tracing::warn!(place = problem.place, object = problem.object, reason = problem.reason, "manifest refused");
    }
}
