//! Accepted connections with the TLS handshake done, for tonic's `serve_with_incoming_shutdown`.
//!
//! Handshakes run beside each other, each with a deadline: a client that is slow, or speaks no TLS, costs one place for
//! a moment and blocks nobody. Failed handshakes are the peer's trouble and are logged at debug only.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tracing::{debug, warn};

use super::ServerTls;
use super::admitted::Admitted;

/// Finds peers that vanished without a word, whose places would be lost for good.
const KEEPALIVE: Duration = Duration::from_mins(1);
/// Running out of file descriptors fails every accept at once: without a pause that is a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener grants.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time, handshakes included. More of them wait in the kernel's backlog.
    pub max_connections: usize,
    /// From accept to the end of the handshake.
    pub handshake_timeout: Duration,
}

/// Accepts until `shutdown`; handshakes then unfinished are dropped. The stream itself never fails.
pub fn incoming(
    listener: TcpListener,
    tls: ServerTls,
    limits: Limits,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<TlsStream<Admitted>, Infallible>> + Send {
    let acceptor = Acceptor {
        sockets: TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE)),
        places: Arc::new(Semaphore::new(limits.max_connections)),
        handshakes: JoinSet::new(),
        handshake_timeout: limits.handshake_timeout,
        tls,
        shutdown,
    };
    stream::unfold(acceptor, |mut acceptor| async move { acceptor.next().await.map(|stream| (Ok(stream), acceptor)) })
}

struct Acceptor {
    sockets: TcpIncoming,
    places: Arc<Semaphore>,
    handshakes: JoinSet<Option<TlsStream<Admitted>>>,
    handshake_timeout: Duration,
    tls: ServerTls,
    shutdown: CancellationToken,
}

impl Acceptor {
    async fn next(&mut self) -> Option<TlsStream<Admitted>> {
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Some(stream)) => return Some(stream),
                    Ok(None) => {}
                    Err(error) => warn!(%error, "a TLS handshake did not end"),
                },
                Some((socket, place)) = accept(&mut self.sockets, &self.places) => {
                    // Without certificates the socket is closed here: a peer that can do without us should know.
                    if let Some(tls) = self.tls.current() {
                        self.handshakes.spawn(handshake(socket, place, tls, self.handshake_timeout));
                    }
                }
                else => return None,
            }
        }
    }
}

/// The next connection and its place. Safe to drop at any await: a socket is either returned or still the kernel's.
async fn accept(sockets: &mut TcpIncoming, places: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    loop {
        match sockets.next().await? {
            Ok(socket) => return Some((socket, place)),
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn handshake(
    socket: TcpStream,
    place: OwnedSemaphorePermit,
    tls: Arc<ServerConfig>,
    limit: Duration,
) -> Option<TlsStream<Admitted>> {
    let peer = socket.peer_addr().ok();
    let accepting = async {
        let mut stream = TlsAcceptor::from(tls).accept(Admitted::new(socket, place)).await?;
        first_bytes(&mut stream).await?;
        Ok(stream)
    };
    let error = match timeout(limit, accepting).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => error,
        Err(_) => io::Error::new(io::ErrorKind::TimedOut, format!("not done within {limit:?}")),
    };
    debug!(?peer, %error, "TLS handshake failed");
    None
}

/// Waits until the peer has something to say. One that never does would hold its place, and a drain, for as long as it
/// likes: HTTP/2 knows no limit before the first frame.
async fn first_bytes(stream: &mut TlsStream<Admitted>) -> io::Result<()> {
    let (socket, tls) = stream.get_mut();
    // They may have come together with the end of the handshake.
    if tls.process_new_packets().map_err(io::Error::other)?.plaintext_bytes_to_read() > 0 {
        return Ok(());
    }
    socket.wait_for_bytes().await
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::pin::pin;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server};
    use tonic::{Request, Status};
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::health_server::HealthServer;
    use tonic_health::server::{HealthReporter, HealthService};

    use rustls_pki_types::ServerName;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::tls::role::{Role, role_of};
    use crate::tls::testing::{Authority, KubeletDir, Pair, client_config, connect};

    const LIMITS: Limits = Limits { max_connections: 16, handshake_timeout: Duration::from_mins(1) };

    struct Fixture {
        ca: Authority,
        tls: ServerTls,
        listener: TcpListener,
        addr: SocketAddr,
        _dir: KubeletDir,
    }

    async fn fixture() -> Fixture {
        let ca = Authority::new();
        let dir = KubeletDir::new(&ca.server(), &[&ca]);
        let tls = ServerTls::load(dir.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        Fixture { ca, tls, listener, addr, _dir: dir }
    }

    #[tokio::test]
    async fn silent_and_plaintext_clients_block_nobody() {
        let Fixture { ca, tls, listener, addr, _dir } = fixture().await;
        let mut stream = pin!(incoming(listener, tls, LIMITS, CancellationToken::new()));
        let _silent = TcpStream::connect(addr).await.unwrap();
        let mut plain = TcpStream::connect(addr).await.unwrap();
        plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let (accepted, connected) = tokio::join!(stream.next(), connect(addr, &ca, None));
        assert!(accepted.unwrap().is_ok() && connected.is_ok());
    }

    #[tokio::test]
    async fn a_silent_client_is_closed_at_the_deadline() {
        let Fixture { tls, listener, addr, _dir, .. } = fixture().await;
        let limits = Limits { handshake_timeout: Duration::from_millis(20), ..LIMITS };
        let mut stream = pin!(incoming(listener, tls, limits, CancellationToken::new()));
        let mut silent = TcpStream::connect(addr).await.unwrap();
        let mut rest = Vec::new();
        tokio::select! {
            _ = stream.next() => panic!("no handshake was made"),
            read = silent.read_to_end(&mut rest) => assert_eq!(read.unwrap(), 0),
        }
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_after_the_handshake_is_closed_at_the_deadline() {
        let Fixture { ca, tls, listener, addr, _dir } = fixture().await;
        let limits = Limits { handshake_timeout: Duration::from_millis(200), ..LIMITS };
        let mut stream = pin!(incoming(listener, tls, limits, CancellationToken::new()));
        let name = ServerName::try_from("localhost").unwrap();
        let silent = async {
            let connector = TlsConnector::from(Arc::new(client_config(&ca, None)));
            let mut silent = connector.connect(name, TcpStream::connect(addr).await.unwrap()).await.unwrap();
            // Without a close of the TLS session this is an error; either way it is the end.
            let _ = silent.read_to_end(&mut Vec::new()).await;
        };
        tokio::select! {
            _ = stream.next() => panic!("it was handed on"),
            () = silent => {}
        }
    }

    #[tokio::test]
    async fn connections_above_the_limit_wait_for_a_place() {
        let Fixture { ca, tls, listener, addr, _dir } = fixture().await;
        let limits = Limits { max_connections: 1, ..LIMITS };
        let mut stream = pin!(incoming(listener, tls, limits, CancellationToken::new()));
        let (first, _client) = tokio::join!(stream.next(), connect(addr, &ca, None));
        let both = async { tokio::join!(stream.next(), connect(addr, &ca, None)) };
        let mut both = pin!(both);
        assert!(timeout(Duration::from_millis(100), &mut both).await.is_err());
        drop(first);
        let (second, client) = both.await;
        assert!(second.is_some() && client.is_ok());
    }

    #[tokio::test]
    async fn without_certificates_a_connection_is_closed_and_with_them_the_next_one_is_served() {
        let (ca, dir) = (Authority::new(), KubeletDir::empty());
        let tls = ServerTls::load(dir.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let limits = Limits { max_connections: 1, ..LIMITS };
        let mut stream = pin!(incoming(listener, tls.clone(), limits, CancellationToken::new()));
        for _ in 0..3 {
            let mut early = TcpStream::connect(addr).await.unwrap();
            let mut rest = Vec::new();
            tokio::select! {
                _ = stream.next() => panic!("no handshake can have been made"),
                read = early.read_to_end(&mut rest) => assert_eq!(read.unwrap(), 0),
            }
        }
        dir.swap(&ca.server(), &[&ca]);
        tls.reload().unwrap();
        let (accepted, connected) = tokio::join!(stream.next(), connect(addr, &ca, None));
        assert!(accepted.is_some() && connected.is_ok());
    }

    #[tokio::test]
    async fn it_ends_at_shutdown() {
        let Fixture { tls, listener, addr, _dir, .. } = fixture().await;
        let shutdown = CancellationToken::new();
        let mut stream = pin!(incoming(listener, tls, LIMITS, shutdown.clone()));
        let _silent = TcpStream::connect(addr).await.unwrap();
        shutdown.cancel();
        assert!(stream.next().await.is_none());
    }

    async fn ask(addr: SocketAddr, ca: &Authority, pair: Option<&Pair>) -> Result<String, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca.pem())).domain_name("localhost");
        if let Some(pair) = pair {
            tls = tls.identity(Identity::from_pem(&pair.cert, &pair.key));
        }
        let channel: Channel =
            Endpoint::from_shared(format!("https://{addr}")).unwrap().tls_config(tls).unwrap().connect().await?;
        let status = HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap_err();
        Ok(status.message().to_owned())
    }

    #[tokio::test]
    async fn tonic_sees_the_callers_certificate() {
        let Fixture { ca, tls, listener, addr, _dir } = fixture().await;
        let stop = CancellationToken::new();
        let health = HealthService::from_health_reporter(HealthReporter::new());
        // Answers with what tonic tells a method about its caller.
        let service = HealthServer::with_interceptor(health, |request: Request<()>| {
            let role = match request.peer_certs() {
                None => "nobody".to_owned(),
                Some(certs) => role_of(&certs[0], "example.org").map_or_else(|e| e.to_string(), |r| r.to_string()),
            };
            Err(Status::permission_denied(role))
        });
        let serving = Server::builder().add_service(service).serve_with_incoming_shutdown(
            incoming(listener, tls, LIMITS, stop.clone()),
            stop.clone().cancelled_owned(),
        );
        let client = async {
            assert_eq!(ask(addr, &ca, None).await.unwrap(), "nobody");
            let operator = ask(addr, &ca, Some(&ca.client("operator"))).await.unwrap();
            assert_eq!(operator, Role::Operator.to_string());
            stop.cancel();
        };
        tokio::join!(serving, client).0.unwrap();
    }
}
