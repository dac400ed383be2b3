//! Accepts connections, with or without TLS, and serves a router on them until told to stop.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::line::Line;
use crate::ca::Issued;

const MAX_CONNECTIONS: usize = 1_024;
const MAX_BODY: usize = 1 << 20;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For the next request's headers; idle connections end after it too.
const HEADERS: Duration = Duration::from_secs(120);
/// For calls under way when the emulator stops.
const DRAIN: Duration = Duration::from_secs(2);

/// The certificate cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Its PEM.
    #[error("the emulator's own certificate is no PEM: {0}")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// Its use.
    #[error("the emulator's own certificate cannot serve TLS: {0}")]
    Config(#[from] rustls::Error),
}

/// TLS with one certificate; HTTP/1.1 only, so that a connection is one call at a time.
pub(crate) fn tls(issued: &Issued) -> Result<TlsAcceptor, TlsError> {
    let chain = CertificateDer::pem_slice_iter(issued.cert_pem.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until `stop`, then lets calls under way finish for a moment.
pub(crate) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router, stop: CancellationToken) {
    let router = router.layer(DefaultBodyLimit::max(MAX_BODY));
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely; connections that end make room.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, tls, router, stop).await;
            drop(permit);
        });
    }
    let drained = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        connections.shutdown().await;
    }
}

type Accepted = (TcpStream, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<Accepted> {
    let permit = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router, stop: CancellationToken) {
    let line = Line::default();
    let wire = line.over(stream);
    match tls {
        None => requests(wire, line, router, stop).await,
        Some(tls) => match timeout(HANDSHAKE, tls.accept(wire)).await {
            Ok(Ok(stream)) => requests(stream, line, router, stop).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        },
    }
}

/// Serves a connection until it ends, or until a fault cuts it: then it is dropped with whatever is under way on it.
async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin, line: Line, router: Router, stop: CancellationToken) {
    let router = TowerToHyperService::new(router);
    let cut = line.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(line.clone());
        router.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = cut.was_cut() => return,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                ended = served => ended,
                () = cut.was_cut() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}
