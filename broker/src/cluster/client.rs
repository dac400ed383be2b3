//! The client of the API server. It retries nothing and logs nothing by itself: callers have deadlines and know what is
//! worth a line.

use std::time::Duration;

use hyper_util::{
    client::legacy::{Builder, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt as _},
};
use tokio::time::timeout;
use tower::{BoxError, ServiceBuilder};

/// For a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// From a request to the head of its answer. The first page of a long list takes longest.
const HEAD: Duration = Duration::from_secs(30);
/// A dead peer is noticed after it and a few probes, also in the middle of an answer.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Connections that are kept open without use.
const IDLE: usize = 8;

/// The API server, and where the broker itself is.
#[derive(Clone)]
pub struct Cluster {
    /// Asks.
    pub client: Client,
    /// The broker's own namespace.
    pub namespace: String,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Neither a kubeconfig nor a service account.
    #[error("no API server is known: run within a cluster, or set KUBECONFIG: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// Its certificates or credentials.
    #[error("the API server's client cannot be made: {0}")]
    Client(#[from] kube::Error),
}

impl Cluster {
    /// By `KUBECONFIG`, or from within the cluster. `namespace` is said, or the one the configuration names. No I/O with
    /// the API server yet.
    pub async fn infer(namespace: Option<&str>) -> Result<Self, ClusterError> {
        Ok(Self::new(&Config::infer().await?, namespace)?)
    }

    /// As `config` says.
    pub fn new(config: &Config, namespace: Option<&str>) -> Result<Self, kube::Error> {
        let namespace = namespace.unwrap_or(&config.default_namespace).to_owned();
        Ok(Self { client: client(config)?, namespace })
    }
}

fn client(config: &Config) -> Result<Client, kube::Error> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT));
    http.set_keepalive(Some(KEEPALIVE));
    http.set_keepalive_interval(Some(KEEPALIVE / 4));
    let connector = config.rustls_https_connector_with_connector(http)?;
    let hyper = Builder::new(TokioExecutor::new())
        .pool_max_idle_per_host(IDLE)
        .pool_timer(TokioTimer::new())
        .build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service_fn(move |request| {
            let answer = hyper.request(request);
            async move {
                match timeout(HEAD, answer).await {
                    Ok(answer) => answer.map_err(BoxError::from),
                    Err(_) => Err(format!("no answer within {HEAD:?}").into()),
                }
            }
        });
    Ok(Client::new(service, config.default_namespace.clone()))
}
