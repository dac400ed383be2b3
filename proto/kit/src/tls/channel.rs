//! A gRPC channel to a server that wants to see a certificate. It connects when it is needed, finds out that its peer is
//! gone by pings, and is made anew when the certificates are others.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tracing::{error, info};

use super::TlsError;
use super::client::{ClientFiles, Fingerprint, Source};
use crate::once::Once;
use crate::ready::Guard;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent server is noticed after both, also by a stream on which nothing happens.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// The way to one server. Clones share it.
#[derive(Clone, Debug)]
pub struct Connection {
    address: Arc<str>,
    server_name: Option<Arc<str>>,
    source: Source,
    current: Arc<ArcSwapOption<Current>>,
    unconnected: Channel,
}

#[derive(Debug)]
struct Current {
    channel: Channel,
    fingerprint: Fingerprint,
    expiry: SystemTime,
    /// Dropped with it: whoever holds a stream of this channel opens another.
    replaced: CancellationToken,
}

impl Drop for Current {
    fn drop(&mut self) {
        self.replaced.cancel();
    }
}

/// Why there is no way to the server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The certificates.
    #[error("--tls-dir: {0}")]
    Tls(#[from] TlsError),
    /// The address, or what the certificates say together.
    #[error("{address} cannot be connected to (--broker): {reason}")]
    Endpoint {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
}

impl Connection {
    /// Reads a directory, or takes what is made here. What is missing may come later; what is there must be usable.
    pub fn new(address: &str, source: impl Into<Source>) -> Result<Self, ConnectionError> {
        Self::named(address, None, source)
    }

    /// The same, to a server whose certificate has another name than its address.
    pub fn named(address: &str, server_name: Option<&str>, source: impl Into<Source>) -> Result<Self, ConnectionError> {
        // Whatever is asked before there are certificates fails as unavailable, and is asked again.
        let unconnected = Endpoint::from_static("https://certificates.invalid").connect_lazy();
        let current = Arc::new(ArcSwapOption::empty());
        let server_name = server_name.map(Arc::from);
        let connection = Self { address: address.into(), server_name, source: source.into(), current, unconnected };
        match connection.reload() {
            Ok(_) | Err(ConnectionError::Tls(TlsError::Missing { .. })) => Ok(connection),
            Err(error) => Err(error),
        }
    }

    /// Where the server is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether there are certificates to connect with.
    pub fn has_certificates(&self) -> bool {
        self.current.load().is_some()
    }

    /// Until when the certificate is valid.
    pub fn expiry(&self) -> Option<SystemTime> {
        self.current.load().as_ref().map(|current| current.expiry)
    }

    /// Cancelled when what is used now is not used for new requests any more.
    pub fn replaced(&self) -> CancellationToken {
        self.current.load().as_ref().map_or_else(CancellationToken::new, |current| current.replaced.clone())
    }

    /// For the next request: later ones may be for another channel.
    pub fn channel(&self) -> Channel {
        self.current.load().as_ref().map_or_else(|| self.unconnected.clone(), |current| current.channel.clone())
    }

    /// Looks again; true if there is something else now.
    pub fn reload(&self) -> Result<bool, ConnectionError> {
        let Some(files) = self.source.read()? else { return Ok(false) };
        if self.current.load().as_ref().is_some_and(|current| current.fingerprint == files.fingerprint()) {
            return Ok(false);
        }
        let expiry = files.expiry(self.source.name())?.leaf;
        let channel = self.connect(&files)?;
        let replaced = CancellationToken::new();
        self.current.store(Some(Arc::new(Current { channel, fingerprint: files.fingerprint(), expiry, replaced })));
        Ok(true)
    }

    fn connect(&self, files: &ClientFiles) -> Result<Channel, ConnectionError> {
        let failed = |error: tonic::transport::Error| ConnectionError::Endpoint {
            address: self.address.to_string(),
            reason: error.to_string(),
        };
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(files.authorities()))
            .identity(Identity::from_pem(files.certificate(), files.key()));
        if let Some(name) = &self.server_name {
            tls = tls.domain_name(name.to_string());
        }
        let endpoint =
            Endpoint::from_shared(self.address.to_string()).map_err(failed)?.tls_config(tls).map_err(failed)?;
        Ok(endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE.0)
            .keep_alive_timeout(KEEPALIVE.1)
            .keep_alive_while_idle(true)
            .connect_lazy())
    }

    /// Looks at a directory every `period`, or whenever something was made, until `shutdown`: a task for
    /// [`crate::tasks::Tasks`]. `waiting` is dropped once there are certificates. A directory that does not load is in the
    /// log once for each different reason.
    pub async fn watch(
        self,
        waiting: Option<Guard>,
        period: Duration,
        shutdown: CancellationToken,
    ) -> Result<(), JoinError> {
        let mut waiting = waiting.filter(|_| !self.has_certificates());
        let mut complaints = Once::default();
        let mut source = self.source.clone();
        while shutdown.run_until_cancelled(source.moved(period)).await.is_some() {
            let connection = self.clone();
            match spawn_blocking(move || connection.reload()).await? {
                Ok(changed) => {
                    complaints.settled();
                    if changed {
                        info!(directory = %source.name().display(), "client certificates loaded");
                    }
                    waiting = waiting.filter(|_| !self.has_certificates());
                }
                Err(error) if complaints.is_new(&error.to_string()) => {
                    error!(%error, "client certificates are not loaded; those in use stay");
                }
                Err(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::SocketAddr;

    use tokio::sync::watch;
    use tokio::time::timeout;
    use tonic::transport::Server;
    use tonic::{Code, Request, Status};
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::health_server::HealthServer;
    use tonic_health::server::{HealthReporter, HealthService};

    use super::*;
    use crate::ready::{Readiness, Status as Ready};
    use crate::tls::incoming;
    use crate::tls::role::role_of;
    use crate::tls::testing::{Authority, Fixture, KubeletDir, LIMITS, Pair, fixture};

    const PATIENCE: Duration = Duration::from_mins(1);

    /// A server that answers with the role it sees, while `client` runs.
    async fn beside_a_server(client: impl AsyncFnOnce(&Authority, SocketAddr)) {
        let Fixture { ca, tls, listener, addr, _dir } = fixture().await;
        let stop = CancellationToken::new();
        let health = HealthService::from_health_reporter(HealthReporter::new());
        let service = HealthServer::with_interceptor(health, |request: Request<()>| {
            let certs = request.peer_certs().unwrap_or_default();
            let role = certs.first().and_then(|cert| role_of(cert, "example.org").ok());
            Err(Status::failed_precondition(role.map_or_else(String::new, |role| role.to_string())))
        });
        let serving = Server::builder().add_service(service).serve_with_incoming_shutdown(
            incoming(listener, tls, LIMITS, stop.clone()),
            stop.clone().cancelled_owned(),
        );
        let client = Box::pin(async {
            client(&ca, addr).await;
            stop.cancel();
            Ok::<_, Infallible>(())
        });
        let both = Box::pin(async { tokio::join!(serving, client) });
        timeout(PATIENCE, both).await.unwrap().0.unwrap();
    }

    fn connection(addr: SocketAddr, dir: &KubeletDir) -> Connection {
        Connection::new(&format!("https://localhost:{}", addr.port()), dir.path().to_owned()).unwrap()
    }

    async fn ask(connection: &Connection) -> Status {
        HealthClient::new(connection.channel()).check(HealthCheckRequest::default()).await.unwrap_err()
    }

    #[tokio::test]
    async fn another_certificate_is_shown_as_soon_as_it_is_there_and_streams_are_told() {
        beside_a_server(async |ca, addr| {
            let dir = KubeletDir::new(&ca.client("controller"), &[ca]);
            let connection = connection(addr, &dir);
            assert_eq!(ask(&connection).await.message(), "controller");
            let replaced = connection.replaced();
            assert!(!connection.reload().unwrap() && !replaced.is_cancelled());
            dir.swap(&ca.client("webhook"), &[ca]);
            assert!(connection.reload().unwrap() && replaced.is_cancelled());
            assert_eq!(ask(&connection).await.message(), "webhook");
        })
        .await;
    }

    #[tokio::test]
    async fn without_certificates_nothing_can_be_asked_and_with_them_it_is_ready() {
        beside_a_server(async |ca, addr| {
            let (dir, readiness, stop) = (KubeletDir::empty(), Readiness::new(), CancellationToken::new());
            let connection = connection(addr, &dir);
            assert!(!connection.has_certificates());
            assert_eq!(ask(&connection).await.code(), Code::Unavailable);
            let waiting = readiness.require("certificates");
            let watching = connection.clone().watch(Some(waiting), Duration::from_millis(5), stop.clone());
            let client = async {
                assert_eq!(readiness.status(), Ready::Pending(vec!["certificates"]));
                dir.swap(&ca.client("webhook"), &[ca]);
                readiness.ready().await;
                assert_eq!(ask(&connection).await.message(), "webhook");
                stop.cancel();
            };
            tokio::join!(watching, client).0.unwrap();
        })
        .await;
    }

    fn made(ca: &Authority, role: &str) -> Arc<ClientFiles> {
        let Pair { cert, key } = ca.client(role);
        Arc::new(ClientFiles::made(cert.into(), key.into(), ca.pem().into()).unwrap())
    }

    #[tokio::test]
    async fn what_is_made_in_memory_is_shown_at_once_and_stays_when_its_maker_is_gone() {
        beside_a_server(async |ca, addr| {
            let (make, heard) = watch::channel(None);
            let address = format!("https://localhost:{}", addr.port());
            let connection = Connection::new(&address, Source::Memory(heard)).unwrap();
            assert!(!connection.has_certificates() && !connection.reload().unwrap());
            assert_eq!(ask(&connection).await.code(), Code::Unavailable);
            // Made before anybody listens.
            make.send_replace(Some(made(ca, "webhook")));
            let (readiness, stop) = (Readiness::new(), CancellationToken::new());
            let waiting = readiness.require("certificates");
            let watching = connection.clone().watch(Some(waiting), Duration::ZERO, stop.clone());
            let client = async {
                readiness.ready().await;
                assert_eq!(ask(&connection).await.message(), "webhook");
                let replaced = connection.replaced();
                make.send_replace(Some(made(ca, "controller")));
                replaced.cancelled().await;
                assert_eq!(ask(&connection).await.message(), "controller");
                drop(make);
                assert!(!connection.reload().unwrap() && connection.expiry().is_some());
                stop.cancel();
            };
            tokio::join!(watching, client).0.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn a_server_is_known_by_its_name_wherever_it_is() {
        beside_a_server(async |ca, addr| {
            let dir = KubeletDir::new(&ca.client("broker"), &[ca]);
            let address = format!("https://{addr}");
            let of = |name| Connection::named(&address, name, dir.path().to_owned()).unwrap();
            assert_eq!(ask(&of(Some("localhost"))).await.message(), "broker");
            assert_eq!(ask(&of(Some("another"))).await.code(), Code::Unavailable);
            assert_eq!(of(None).address(), address);
        })
        .await;
    }

    #[tokio::test]
    async fn a_server_of_another_authority_is_not_spoken_to() {
        beside_a_server(async |ca, addr| {
            let dir = KubeletDir::new(&ca.client("controller"), &[&Authority::new()]);
            assert_eq!(ask(&connection(addr, &dir)).await.code(), Code::Unavailable);
        })
        .await;
    }

    #[tokio::test]
    async fn unusable_files_are_an_error_at_start_and_later_change_nothing() {
        let ca = Authority::new();
        let mixed = Pair { cert: ca.client("controller").cert, key: ca.client("controller").key };
        let broken = KubeletDir::new(&mixed, &[&ca]);
        let error = Connection::new("https://localhost:1", broken.path().to_owned()).unwrap_err();
        assert!(error.to_string().starts_with("--tls-dir: tls.crt and tls.key of "), "{error}");
        let dir = KubeletDir::new(&ca.client("controller"), &[&ca]);
        let connection = connection(([127, 0, 0, 1], 1).into(), &dir);
        let (expiry, replaced) = (connection.expiry(), connection.replaced());
        dir.swap(&mixed, &[&ca]);
        assert!(connection.reload().is_err() && !replaced.is_cancelled());
        assert!(expiry.is_some() && expiry == connection.expiry());
        let good = KubeletDir::new(&ca.client("controller"), &[&ca]);
        let error = Connection::new("no address", good.path().to_owned()).unwrap_err().to_string();
        assert!(error.starts_with("no address cannot be connected to (--broker): "), "{error}");
    }
}
