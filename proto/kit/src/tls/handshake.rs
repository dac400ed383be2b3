//! One TLS handshake with a deadline, which lasts until the peer has said something.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::admitted::Admitted;
use super::places::Place;

/// The stream, or nothing: a failed handshake is the peer's trouble.
pub(super) async fn handshake(
    socket: TcpStream,
    place: Place,
    tls: Arc<ServerConfig>,
    limit: Duration,
) -> Option<TlsStream<Admitted>> {
    let peer = place.peer();
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
    debug!(%peer, %error, "TLS handshake failed");
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
    use std::pin::pin;

    use futures::StreamExt;
    use rustls_pki_types::ServerName;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::tls::testing::{Fixture, LIMITS, client_config, connect, fixture};
    use crate::tls::{Limits, incoming};

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
}
