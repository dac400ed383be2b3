//! Certificates that come and go under a server at work: real sockets, gRPC calls, the kubelet's symlink swap.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::testing::{Authority, KubeletDir, Pair};
use super::{Alpn, Limits, ServerTls, incoming};

const LIMITS: Limits = Limits { max_connections: 64, max_per_peer: 64, handshake_timeout: Duration::from_mins(1) };
const LOOK_EVERY: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_mins(1);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Serves and watches while `client` runs.
async fn serve_during(tls: &ServerTls, client: impl AsyncFnOnce(SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let (_, health) = tonic_health::server::health_reporter();
    let serving = Server::builder().add_service(health).serve_with_incoming_shutdown(
        incoming(listener, tls.clone(), LIMITS, stop.clone()),
        stop.clone().cancelled_owned(),
    );
    let watching = tls.clone().watch(LOOK_EVERY, stop.clone());
    let client = Box::pin(async {
        client(addr).await;
        stop.cancel();
        Ok::<_, Infallible>(())
    });
    let all = Box::pin(async { tokio::join!(serving, watching, client) });
    let (served, watched, Ok(())) = timeout(PATIENCE, all).await.unwrap();
    served.unwrap();
    watched.unwrap();
}

async fn connect(addr: SocketAddr, trusted: &[&Authority], pair: Option<&Pair>) -> Result<Channel, Failure> {
    let roots = trusted.iter().map(|authority| Certificate::from_pem(authority.pem()));
    let mut tls = ClientTlsConfig::new().ca_certificates(roots).domain_name("localhost");
    if let Some(pair) = pair {
        tls = tls.identity(Identity::from_pem(&pair.cert, &pair.key));
    }
    Ok(Endpoint::from_shared(format!("https://{addr}"))?.tls_config(tls)?.connect().await?)
}

async fn call(channel: &Channel) -> Result<(), Failure> {
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await?;
    Ok(())
}

/// One call on a connection of its own. In TLS 1.3 a client learns only by calling that its certificate was refused.
async fn call_anew(addr: SocketAddr, trusted: &[&Authority], pair: Option<&Pair>) -> Result<(), Failure> {
    call(&connect(addr, trusted, pair).await?).await
}

#[tokio::test]
async fn a_rotation_of_the_authority_fails_no_call_and_ends_with_the_old_one_refused() {
    let (old, new) = (Authority::new(), Authority::new());
    let (of_old, of_new) = (old.client("operator"), new.client("operator"));
    let both = [&old, &new];
    let dir = KubeletDir::new(&old.server(), &[&old]);
    let tls = ServerTls::load(dir.path(), Alpn::Http2).unwrap();
    serve_during(&tls, async |addr| {
        let standing = connect(addr, &both, Some(&of_old)).await.unwrap();
        call(&standing).await.unwrap();
        assert!(call_anew(addr, &both, Some(&of_new)).await.is_err());
        // Each with the client certificate that is trusted before as after.
        for (leaf, trusted, client) in [
            (old.server(), &both[..], &of_old),
            (new.server(), &both[..], &of_new),
            (new.server(), &both[1..], &of_new),
        ] {
            let before = tls.current().unwrap();
            dir.swap(&leaf, trusted);
            while Arc::ptr_eq(&before, &tls.current().unwrap()) {
                call(&standing).await.unwrap();
                call_anew(addr, &both, None).await.unwrap();
                call_anew(addr, &both, Some(client)).await.unwrap();
            }
            // It could not connect again after the last swap: this is the connection of the beginning.
            call(&standing).await.unwrap();
            call_anew(addr, &both, None).await.unwrap();
            call_anew(addr, &both, Some(&of_new)).await.unwrap();
            assert_eq!(call_anew(addr, &both, Some(&of_old)).await.is_ok(), trusted.len() == 2);
            assert_eq!(tls.expiry().unwrap().authorities.len(), trusted.len());
        }
        // The leaf is the new authority's: who trusts the old one alone turns away.
        assert!(call_anew(addr, &[&old], None).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_server_that_starts_without_certificates_serves_as_soon_as_they_appear() {
    let ca = Authority::new();
    let dir = KubeletDir::empty();
    let tls = ServerTls::load(dir.path(), Alpn::Http2).unwrap();
    serve_during(&tls, async |addr| {
        assert!(call_anew(addr, &[&ca], None).await.is_err());
        dir.swap(&ca.server(), &[&ca]);
        while tls.current().is_none() {
            tokio::task::yield_now().await;
        }
        call_anew(addr, &[&ca], Some(&ca.client("controller"))).await.unwrap();
    })
    .await;
}
