//! Accepted connections with the TLS handshake done, for tonic's `serve_with_incoming_shutdown` and [`crate::http1`].
//!
//! Handshakes run beside each other, each with a deadline: a client that is slow, or speaks no TLS, costs one place for
//! a moment and blocks nobody. Failed handshakes are the peer's trouble and are logged at debug only.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tracing::{debug, warn};

use super::ServerTls;
use super::admitted::Admitted;
use super::handshake::handshake;
use super::places::{ConnectionCounts, Places};

/// Finds peers that vanished without a word, whose places would be lost for good.
const KEEPALIVE: Duration = Duration::from_mins(1);
/// Running out of file descriptors fails every accept at once: without a pause that is a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener grants.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time, handshakes included. More of them wait in the kernel's backlog.
    pub max_connections: usize,
    /// Of these, the most that come from one address. More of them are closed at once, before the handshake.
    pub max_per_peer: usize,
    /// From accept to the end of the handshake.
    pub handshake_timeout: Duration,
}

/// Accepts until `shutdown`; handshakes then unfinished are dropped. The stream itself never fails.
pub fn incoming(listener: TcpListener, tls: ServerTls, limits: Limits, shutdown: CancellationToken) -> Incoming {
    let places = Places::new(limits.max_connections, limits.max_per_peer);
    let counts = places.counts();
    let acceptor = Acceptor {
        sockets: TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE)),
        places,
        handshakes: JoinSet::new(),
        handshake_timeout: limits.handshake_timeout,
        tls,
        shutdown,
    };
    let next = |mut acceptor: Acceptor| async move { acceptor.next().await.map(|stream| (Ok(stream), acceptor)) };
    Incoming { counts, connections: stream::unfold(acceptor, next).boxed() }
}

/// The connections of one listener.
pub struct Incoming {
    connections: BoxStream<'static, Result<TlsStream<Admitted>, Infallible>>,
    counts: ConnectionCounts,
}

impl Incoming {
    /// What becomes of them, also of those that never come out here.
    pub fn counts(&self) -> ConnectionCounts {
        self.counts.clone()
    }
}

impl Stream for Incoming {
    type Item = Result<TlsStream<Admitted>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.connections.poll_next_unpin(cx)
    }
}

struct Acceptor {
    sockets: TcpIncoming,
    places: Places,
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
                    Ok(None) => self.places.handshake_failed(),
                    Err(error) => {
                        self.places.handshake_failed();
                        warn!(%error, "a TLS handshake did not end");
                    }
                },
                Some((socket, free)) = accept(&mut self.sockets, &self.places) => self.begin(socket, free),
                else => return None,
            }
        }
    }

    /// Begins the handshake, or closes the socket: a peer that can do without us should know at once.
    fn begin(&mut self, socket: TcpStream, free: OwnedSemaphorePermit) {
        let Some(tls) = self.tls.current() else { return self.places.refused_without_certificates() };
        // Without an address the peer has gone already.
        let Ok(peer) = socket.peer_addr() else { return self.places.handshake_failed() };
        let Some(place) = self.places.give(free, peer.ip()) else {
            return debug!(%peer, "refused: it has as many connections as one peer may have");
        };
        self.handshakes.spawn(handshake(socket, place, tls, self.handshake_timeout));
    }
}

/// The next connection and leave for a place. Safe to drop at any await: a socket is returned or still the kernel's.
async fn accept(sockets: &mut TcpIncoming, places: &Places) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let free = places.free().await?;
    loop {
        match sockets.next().await? {
            Ok(socket) => return Some((socket, free)),
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;
    use crate::tls::Alpn;
    use crate::tls::places::Connections;
    use crate::tls::testing::{Authority, Fixture, KubeletDir, LIMITS, connect, connect_from, fixture};

    #[tokio::test]
    async fn a_peer_with_all_its_places_is_closed_before_the_handshake_and_others_are_served() {
        let Fixture { ca, tls, listener, addr, _dir } = fixture().await;
        let limits = Limits { max_per_peer: 1, ..LIMITS };
        let mut stream = pin!(incoming(listener, tls, limits, CancellationToken::new()));
        let (first, _client) = tokio::join!(stream.next(), connect(addr, &ca, None));
        let mut second = TcpStream::connect(addr).await.unwrap();
        let mut rest = Vec::new();
        tokio::select! {
            _ = stream.next() => panic!("no handshake can have been made"),
            read = second.read_to_end(&mut rest) => assert_eq!(read.unwrap(), 0),
        }
        let (other, client) = tokio::join!(stream.next(), connect_from([127, 0, 0, 2].into(), addr, &ca, None));
        assert!(other.is_some() && client.is_ok());
        let expected = Connections { accepted: 2, refused_peer_limit: 1, open: 2, ..Connections::default() };
        assert_eq!(stream.counts().now(), expected);
        drop(first);
        let (again, client) = tokio::join!(stream.next(), connect(addr, &ca, None));
        assert!(again.is_some() && client.is_ok());
    }

    #[tokio::test]
    async fn a_failed_handshake_is_counted_and_gives_its_place_back() {
        let Fixture { ca, tls, listener, addr, _dir } = fixture().await;
        let limits = Limits { max_connections: 1, ..LIMITS };
        let mut stream = pin!(incoming(listener, tls, limits, CancellationToken::new()));
        let mut plain = TcpStream::connect(addr).await.unwrap();
        plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let (accepted, _client) = tokio::join!(stream.next(), connect(addr, &ca, None));
        let expected = Connections { accepted: 2, handshakes_failed: 1, open: 1, ..Connections::default() };
        assert_eq!(stream.counts().now(), expected);
        drop(accepted);
        assert_eq!(stream.counts().now().open, 0);
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
        let tls = ServerTls::load(dir.path(), Alpn::Http2).unwrap();
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
        let expected = Connections { accepted: 1, refused_no_certificates: 3, open: 1, ..Connections::default() };
        assert_eq!(stream.counts().now(), expected);
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
}
