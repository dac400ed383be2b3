//! Puts the parts together: [`build`] binds the admin port, [`Bound::run`] takes part in the election and works while it
//! leads, until told to stop.

mod lead;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use keyward_kit::{
    admin::{Admin, BoundAdmin},
    ready::Readiness,
    tasks::{TaskError, Tasks},
    telemetry::LogHandle,
};
use kube::Client;
use prometheus_client::registry::Registry;

use self::lead::Lead;
use crate::{
    args::ServeArgs,
    authority::{self, Looks},
    broker::{Connection, ConnectionError},
    certificates::{Outlets, Provider, SettingsError},
    desired::Propagation,
    leader::{Election, LeaseConfig},
    metrics::{Metrics, PREFIX, State},
    queue::BrokerWatch,
};

/// For a connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the API server lets a watch live (kube asks for 290 s).
const READ_TIMEOUT: Duration = Duration::from_secs(300);
/// How often the file with the log level is looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(10);

/// A controller that does not work yet.
pub struct Bound {
    admin: SocketAddr,
    tasks: Tasks,
    drain: Duration,
}

/// Why the controller does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} (--admin-listen): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Flags about certificates.
    #[error(transparent)]
    Certificates(#[from] SettingsError),
    /// The way to the broker.
    #[error(transparent)]
    Broker(#[from] ConnectionError),
    /// How to reach the API server.
    #[error("no way to the API server (KUBECONFIG, or the pod's own service account): {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The client for it.
    #[error("no client for the API server: {0}")]
    Client(#[from] kube::Error),
}

/// Reads the configuration's files and binds the admin port.
pub async fn build(args: ServeArgs, log: LogHandle) -> Result<Bound, StartError> {
    let mut registry = Registry::with_prefix(PREFIX);
    let metrics = Metrics::new(&mut registry);
    let client = client().await?;
    let readiness = Readiness::new();
    let (own, source, issuing) = match Provider::of(&args)? {
        Provider::Directory(directory) => (directory.clone().into(), authority::Source::Directory(directory), None),
        Provider::Issuing(settings) => {
            let outlets = Outlets::new(readiness.clone());
            (outlets.own(), outlets.bundle(), Some((settings, outlets)))
        }
    };
    let broker = Connection::new(&args.broker, own)?;
    let (leading, watch) = (Arc::new(ArcSwapOption::empty()), Arc::new(BrokerWatch::default()));
    let authority = args.publish_ca.then(|| (source, Looks::default()));
    let state = State {
        leading: Arc::clone(&leading),
        watch: Arc::clone(&watch),
        broker: broker.clone(),
        authority: authority.as_ref().map(|(_, looks)| looks.clone()),
        issuing: issuing.as_ref().map(|(_, outlets)| outlets.clone()),
    };
    registry.register_collector(Box::new(state));

    // Who issues its own waits for it when it leads, and only then.
    let waits = issuing.is_none() && !broker.has_certificates();
    let waiting = waits.then(|| readiness.require("certificates"));
    let admin = bind_admin(args.admin_listen, registry, &readiness).await?;
    let admin_address = admin.addr();

    let mut tasks = Tasks::new();
    let lease = lease(&args);
    let lead = Lead {
        client: client.clone(),
        broker: broker.clone(),
        metrics,
        propagation: Propagation { labels: args.copy_labels.clone(), annotations: args.copy_annotations.clone() },
        selector: args.selector.clone(),
        scope: args.scope(),
        restart_window: args.restart_on_change.then_some(args.restart_window),
        authority,
        own: args.lease_namespace.clone(),
        issuing,
        identity: lease.identity.clone(),
        drain: args.drain,
        lease_duration: args.lease_duration,
        leading,
        watch,
    };
    let (election, leads) = Election::new(client, lease);
    let (drain, close) = (tasks.drain(), tasks.close());
    tasks.spawn("work", lead.run(leads, drain.clone()));
    let running = election.run(drain.clone(), close.clone());
    tasks.spawn_outliving("election", async move {
        running.await;
        Ok::<_, Infallible>(())
    });
    tasks.spawn("certificate reload", broker.watch_certificates(waiting, drain.clone()));
    if let Some(file) = args.log.log_level_file {
        tasks.spawn("log level", log.watch(file, RELOAD_EVERY, drain.clone()));
    }
    tasks.spawn("readiness", async move {
        drain.cancelled().await;
        readiness.set_draining();
        Ok::<_, Infallible>(())
    });
    tasks.spawn_outliving("admin port", admin.serve(close));
    Ok(Bound { admin: admin_address, tasks, drain: args.drain + CONNECT_TIMEOUT })
}

async fn client() -> Result<Client, StartError> {
    let mut config = kube::Config::infer().await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // A watch is silent for as long as this at most; single requests have deadlines of their own. What fails is tried again
    // by whoever asked, who knows how urgent it is.
    config.read_timeout = Some(READ_TIMEOUT);
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

async fn bind_admin(address: SocketAddr, registry: Registry, readiness: &Readiness) -> Result<BoundAdmin, StartError> {
    let admin = Admin { registry: Arc::new(registry), readiness: readiness.clone() };
    admin.bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// Which lease this process asks for, and as whom.
fn lease(args: &ServeArgs) -> LeaseConfig {
    LeaseConfig {
        namespace: args.lease_namespace.clone(),
        name: args.lease_name.clone(),
        identity: args.identity.clone().unwrap_or_else(random_identity),
        duration: args.lease_duration,
    }
}

/// For who was given no name: unlike all others.
fn random_identity() -> String {
    format!("keyward-controller-{:016x}", fastrand::u64(..))
}

impl Bound {
    /// Where the admin port is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Works, whenever it leads, until `signal`; then lets looks under way finish and gives the lease back.
    pub async fn run(self, signal: impl Future<Output = ()>) -> Result<(), TaskError> {
        tracing::info!(admin = %self.admin, "serving");
        self.tasks.run_until(signal, self.drain).await
    }
}
