//! A socket that keeps its place among the connections allowed, from accept to close.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::places::Place;

/// A TCP connection with its place. tonic sees a plain one, so that `Request::peer_certs` finds the certificates.
#[derive(Debug)]
pub struct Admitted {
    stream: TcpStream,
    _place: Place,
}

impl Admitted {
    pub(super) fn new(stream: TcpStream, place: Place) -> Self {
        Self { stream, _place: place }
    }

    /// Returns when there is something to read, or nothing will come any more. Nothing is taken.
    pub(super) async fn wait_for_bytes(&self) -> io::Result<()> {
        // Not `readable`, which may still speak of bytes that the handshake took.
        self.stream.peek(&mut [0]).await.map(drop)
    }
}

impl Connected for Admitted {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Admitted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Admitted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio_util::sync::CancellationToken;
    use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server};
    use tonic::{Request, Status};
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::health_server::HealthServer;
    use tonic_health::server::{HealthReporter, HealthService};

    use crate::tls::incoming;
    use crate::tls::role::{Role, role_of};
    use crate::tls::testing::{Authority, Fixture, LIMITS, Pair, fixture};

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
