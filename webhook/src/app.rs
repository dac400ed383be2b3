//! Puts the parts together: [`build`] reads the configuration's files and binds both ports, [`Bound::run`] serves until told
//! to stop.

mod decider;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use keyward_kit::{
    admin::{Admin, BoundAdmin},
    http1::{self, Times},
    ready::Readiness,
    tasks::{TaskError, Tasks},
    telemetry::LogHandle,
    tls::{
        Alpn, Limits, ServerTls, TlsError,
        channel::{Connection, ConnectionError},
        incoming,
    },
};
use kube::Client;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

pub use self::decider::DeciderError;
use crate::{
    args::ServeArgs,
    broker::{
        self, Broker,
        address::{self, BrokerAddress},
    },
    cluster::{self, Cluster},
    metrics::{ImageFigures, Metrics, PREFIX, State},
    server::{self, Admit},
};

/// For a connection to the API server: within one read of [`Cluster`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Behind the deadline of each read.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// API servers are few and have many connections each. More of them wait in the kernel's backlog.
const LIMITS: Limits = Limits { max_connections: 1_024, max_per_peer: 512, handshake_timeout: Duration::from_secs(10) };
/// API servers close connections that idle for 90 s, before we do. An old one ends so that replicas which came later get
/// their part. Those who do not know yet that this replica goes are served for as long as Services need to tell.
const TIMES: Times =
    Times { idle: Duration::from_secs(120), age: Duration::from_secs(600), linger: Duration::from_secs(3) };
/// Three small files, read and compared: so cheap that a certificate is used as soon as the kubelet has brought it.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(2);
/// How often the file with the log level is looked at.
const LOG_LEVEL_EVERY: Duration = Duration::from_secs(10);

/// What decides is made of these.
struct Parts {
    /// Reads the API server.
    cluster: Cluster,
    /// Asks the broker.
    broker: Broker,
    /// The broker's address for pods.
    address: BrokerAddress,
}

/// What decides.
struct Decider {
    /// About pods.
    admit: Arc<dyn Admit>,
    /// What its lookups of images came to, for metrics.
    images: Box<dyn Fn() -> ImageFigures + Send + Sync>,
}

/// A webhook that does not serve yet.
pub struct Bound {
    server: SocketAddr,
    admin: SocketAddr,
    tasks: Tasks,
    drain: Duration,
}

/// Why the webhook does not start.
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
    /// The webhook's own certificate.
    #[error("--tls-dir: {0}")]
    Tls(#[from] TlsError),
    /// The way to the broker.
    #[error(transparent)]
    Broker(#[from] ConnectionError),
    /// A review that waits for an image would always be late.
    #[error("--image-deadline ({image:?}) must be shorter than --review-deadline ({review:?})")]
    Deadlines {
        /// For an image.
        image: Duration,
        /// For a review.
        review: Duration,
    },
    /// How to reach the API server.
    #[error("no way to the API server (KUBECONFIG, or the pod's own service account): {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The client for it.
    #[error("no client for the API server: {0}")]
    Client(#[from] kube::Error),
    /// What decides.
    #[error(transparent)]
    Decider(#[from] DeciderError),
}

/// Reads the configuration's files, binds both ports, and prepares every task. `log` changes what is logged.
pub async fn build(args: ServeArgs, log: LogHandle) -> Result<Bound, StartError> {
    let (image, review) = (args.images.image_deadline, args.review_deadline);
    if image >= review {
        return Err(StartError::Deadlines { image, review });
    }
    let mut registry = Registry::with_prefix(PREFIX);
    let metrics = Metrics::new(&mut registry);
    let tls = ServerTls::load(&args.tls_dir, Alpn::Http11)?;
    let connection = Connection::new(&args.broker_for_pods(), args.tls_dir.clone())?;
    let parts = Parts {
        cluster: Cluster::new(client().await?, cluster::DEADLINE),
        broker: Broker::new(connection.clone(), broker::DEADLINE, Arc::clone(&metrics)),
        address: BrokerAddress::new(&args.broker, args.broker_ip),
    };
    let address = parts.address.clone();
    let Decider { admit, images } = decider::decider(&args, parts)?;

    let (listener, server) = listen(args.listen).await?;
    let readiness = Readiness::new();
    tls.required_by(&readiness);
    let client_waits = (!connection.has_certificates()).then(|| readiness.require("client certificates"));
    let mut tasks = Tasks::new();
    // It ends when the server, which lingers after the signal, drops it.
    let connections = incoming(listener, tls.clone(), LIMITS, tasks.close());
    registry.register_collector(Box::new(State {
        tls: tls.clone(),
        connections: connections.counts(),
        broker: address.clone(),
        images,
    }));
    let admin = bind_admin(&args, registry, &readiness).await?;
    let admin_address = admin.addr();

    let router = server::router(admit, server::Limits::within(review), metrics);
    tasks.spawn("webhook", http1::serve(connections, router, TIMES, tasks.drain()));
    tasks.spawn("certificate reload", tls.watch(CERTIFICATES_EVERY, tasks.drain()));
    tasks.spawn("client certificate reload", connection.watch(client_waits, CERTIFICATES_EVERY, tasks.drain()));
    tasks.spawn("broker's address", address.run(address::LOOK_EVERY, tasks.drain()));
    if let Some(file) = args.log.log_level_file {
        tasks.spawn("log level", log.watch(file, LOG_LEVEL_EVERY, tasks.drain()));
    }
    let drain = tasks.drain();
    tasks.spawn("readiness", async move {
        drain.cancelled().await;
        readiness.set_draining();
        Ok::<_, Infallible>(())
    });
    tasks.spawn_outliving("admin port", admin.serve(tasks.close()));
    Ok(Bound { server, admin: admin_address, tasks, drain: args.drain + TIMES.linger })
}

impl Bound {
    /// Where the API server posts pods.
    pub fn server_address(&self) -> SocketAddr {
        self.server
    }

    /// Where the admin port is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Serves until `signal`, then lets reviews in hand finish.
    pub async fn run(self, signal: impl Future<Output = ()>) -> Result<(), TaskError> {
        tracing::info!(server = %self.server, admin = %self.admin, "serving");
        self.tasks.run_until(signal, self.drain).await
    }
}

async fn client() -> Result<Client, StartError> {
    let mut config = kube::Config::infer().await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    // A review has no time for it.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
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
