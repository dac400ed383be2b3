//! Puts the parts together: [`build`] binds and returns real addresses, [`Bound::run`] serves until told to stop.

mod events;
mod peers;
mod services;
mod source;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use keyward_kit::{
    admin::{Admin, BoundAdmin},
    ready::Readiness,
    tasks::{TaskError, Tasks},
    telemetry::LogHandle,
    tls::{Alpn, Incoming, Limits, ServerTls, TlsError, incoming},
};
use keyward_proto::FILE_DESCRIPTOR_SET;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use tonic::{service::LayerExt as _, transport::Server};

use self::{
    services::{Core, Services},
    source::Source,
};
use crate::{
    args::ServeArgs,
    audit::AuditLog,
    cache::ObjectCache,
    changes::Changes,
    grpc::{ending::EndStreams, measured::Measured},
    metrics::{Metrics, PREFIX, state::State},
    peers::{Peers, looks::AtOwner},
    policy::Current,
    poll::{
        Poller, Refresher, Settings,
        hints::{Follower, Hints},
    },
    readers::Readers,
    setup::{self, Authentication, BoundPods, SetupError},
    source::dir::DirectoryError,
};

/// From the first byte of a request to its reply. Above the longest that a method takes by itself, a `Refresh`.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(65);
/// Requests at a time on one connection; more wait.
const MAX_STREAMS: u32 = 256;
/// Room for a token of 16 KiB and the usual headers.
const MAX_HEADER_BYTES: u32 = 32 * 1024;
const LIMITS: Limits =
    Limits { max_connections: 10_000, max_per_peer: 1_000, handshake_timeout: Duration::from_secs(10) };
/// A dead peer is noticed after both.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));
/// A connection is asked to end after it, so that none holds its place for good; a client opens another.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(3_600);
/// Three small files, read and compared: so cheap that a certificate is used as soon as the kubelet has brought it.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(2);
/// How often the file with the log level is looked at.
const LOG_LEVEL_EVERY: Duration = Duration::from_secs(10);

/// A broker that listens and does not answer yet.
pub struct Bound {
    grpc: SocketAddr,
    admin: SocketAddr,
    events: Option<SocketAddr>,
    tasks: Tasks,
    peers: Arc<Peers>,
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
    /// Objects or addresses are to come from an API server, and there is none.
    #[error("{0} needs an API server")]
    NoCluster(&'static str),
    /// Identity, issuer or trust.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The reflection service refuses our own descriptors.
    #[error("gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Reads the configuration's files, binds the ports, and prepares every task. `log` changes what is logged.
pub async fn build(args: ServeArgs, audit: AuditLog, log: LogHandle) -> Result<Bound, StartError> {
    let mut registry = Registry::with_prefix(PREFIX);
    let metrics = Arc::new(Metrics::new(&mut registry));
    let cluster = setup::cluster(&args).await?;
    let (first, source) = Source::open(&args, cluster.as_ref(), setup::defaults(&args)?)?;
    let Authentication { pods, operators, keys, reviews } = setup::authentication(&args, cluster.as_ref())?;
    let opener = setup::opener(&args, cluster.as_ref())?;
    let azure = Arc::clone(&opener.vaults);
    let reads = TaskTracker::new();
    let (changes, peers) = (Changes::default(), peers::new(&args));
    let bound_pods = setup::bound_pods(&args, cluster.as_ref(), &peers);
    let core = Core {
        snapshot: Arc::new(Current::new(first)),
        cache: ObjectCache::among(args.cache_max_bytes, reads.clone(), changes.clone(), peers.clone()),
        readers: Arc::new(Readers::sharing(opener, Arc::clone(&metrics), peers.clone())),
        changes,
        peers,
    };
    let tls = ServerTls::load(&args.tls_dir, Alpn::Http2)?;
    let (listener, grpc) = listen("--listen", args.listen).await?;
    let readiness = Readiness::new();
    tls.required_by(&readiness);
    let mut tasks = Tasks::new();
    let connections = incoming(listener, tls.clone(), LIMITS, tasks.drain());
    registry.register_collector(Box::new(State {
        cache: core.cache.clone(),
        snapshot: Arc::clone(&core.snapshot),
        readers: Arc::clone(&core.readers),
        peers: Arc::clone(&core.peers),
        azure,
        tls: tls.clone(),
        connections: connections.counts(),
        watches: source.health(),
        reviews,
        bound_pods: bound_pods.clone(),
    }));
    let admin = bind_admin(&args, registry, &readiness).await?;
    let admin_address = admin.addr();

    peers::spawn(&mut tasks, &core, &args, cluster.as_ref(), &readiness)?;
    let Polling { refresher, own_hints, hints } = spawn_poller(&mut tasks, &core, args.reread_after);
    let events = events::spawn(&mut tasks, &args, &core, Arc::new(hints), Arc::clone(&metrics)).await?;
    let services = Services {
        core: core.clone(),
        authenticator: pods,
        bound_pods: bound_pods.clone(),
        operators,
        refusals: Arc::default(),
        audit: Arc::new(audit),
        metrics,
        own_vaults: Arc::new(refresher),
        own_hints: Arc::new(own_hints),
        trust_domain: args.trust_domain.clone(),
        requests_per_pod: args.requests_per_pod.get(),
        requests_per_role: args.requests_per_role.get(),
    };
    source.spawn(&mut tasks, &core, &readiness);
    if let Some(bound) = bound_pods {
        spawn_records(&mut tasks, bound);
    }
    if let Some(keys) = keys {
        tasks.spawn("issuer's keys", keys.run(readiness.require("issuer's keys"), tasks.drain()));
    }
    spawn_grpc(&mut tasks, &services, tls, connections, readiness).await?;
    if let Some(file) = args.log.log_level_file {
        tasks.spawn("log level", log.watch(file, LOG_LEVEL_EVERY, tasks.drain()));
    }
    spawn_outliving(&mut tasks, reads, admin);
    Ok(Bound { grpc, admin: admin_address, events, tasks, peers: core.peers, drain: args.drain })
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

    /// Serves until `signal`, then has the other replicas take over, and lets requests under way finish.
    pub async fn run(self, signal: impl Future<Output = ()>) -> Result<(), TaskError> {
        let events = self.events.map(tracing::field::display);
        tracing::info!(grpc = %self.grpc, admin = %self.admin, events, replica = %self.peers.own(), "serving");
        let peers = Arc::clone(&self.peers);
        let left = async move {
            signal.await;
            peers.leave().await;
        };
        self.tasks.run_until(left, self.drain).await
    }
}

async fn listen(flag: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { flag, address, source };
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
    services: &Services,
    tls: ServerTls,
    connections: Incoming,
    readiness: Readiness,
) -> Result<(), StartError> {
    let (health, health_service) = services.health().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let drain = tasks.drain();
    let routes = services
        .routes(drain.clone())
        .add_service(EndStreams::at(drain.clone()).named_layer(health_service))
        .add_service(EndStreams::at(drain.clone()).named_layer(reflection));
    let server = Server::builder()
        .timeout(REQUEST_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_connection_age(MAX_CONNECTION_AGE)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .layer(Measured(Arc::clone(&services.metrics)))
        .layer(services.guard())
        .add_routes(routes);
    tasks.spawn("gRPC server", server.serve_with_incoming_shutdown(connections, drain.clone().cancelled_owned()));
    tasks.spawn("certificate reload", tls.watch(CERTIFICATES_EVERY, drain.clone()));
    tasks.spawn("readiness", async move {
        drain.cancelled().await;
        readiness.set_draining();
        Services::set_not_serving(&health).await;
        Ok::<_, Infallible>(())
    });
    Ok(())
}

fn spawn_records(tasks: &mut Tasks, BoundPods { shared, .. }: BoundPods) {
    let drain = tasks.drain();
    tasks.spawn("records of pods", async move {
        shared.keep(drain).await;
        Ok::<_, Infallible>(())
    });
}

/// What goes on while requests under way finish.
fn spawn_outliving(tasks: &mut Tasks, reads: TaskTracker, admin: BoundAdmin) {
    let close = tasks.close();
    tasks.spawn_outliving("vault reads", async move {
        close.cancelled().await;
        reads.close();
        reads.wait().await;
        Ok::<_, Infallible>(())
    });
    tasks.spawn_outliving("admin port", admin.serve(tasks.close()));
}

/// Ways to have vaults looked at before their time.
struct Polling {
    refresher: Refresher,
    /// Of what other replicas pass on: looked at here.
    own_hints: Hints,
    /// Of what is heard here: looked at by whoever owns the vault.
    hints: Hints,
}

fn spawn_poller(tasks: &mut Tasks, core: &Core, reread_after: Duration) -> Polling {
    let settings = Settings { reread_after, chance: fastrand::f64 };
    let (cache, readers, snapshot) = (core.cache.clone(), Arc::clone(&core.readers), Arc::clone(&core.snapshot));
    let (poller, refresher) = Poller::new(cache, readers, snapshot, core.peers.board.watch(), settings);
    let looks = poller.looks(&refresher);
    let (follower, own_hints) = Follower::new(Arc::clone(&looks));
    tasks.spawn("hints of replicas", follower.run(tasks.drain()));
    let (follower, hints) = Follower::new(Arc::new(AtOwner::new(Arc::clone(&core.peers), looks)));
    tasks.spawn("hints", follower.run(tasks.drain()));
    let drain = tasks.drain();
    tasks.spawn("version polling", async move {
        poller.run(drain).await;
        Ok::<_, Infallible>(())
    });
    Polling { refresher, own_hints, hints }
}
