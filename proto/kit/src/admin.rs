//! The admin port: `/livez`, `/readyz` and `/metrics` over plain HTTP, for the kubelet and Prometheus.
//!
//! It holds nothing secret and takes no body. A connection carries one request and lives a few seconds, so that no
//! client can keep a place for long.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::ready::{Readiness, Status};

const MAX_CONNECTIONS: usize = 64;
const MAX_HEAD: usize = 16 * 1024;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the admin port tells.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Behind `/metrics`.
    pub registry: Arc<Registry>,
    /// Behind `/readyz`.
    pub readiness: Readiness,
}

impl Admin {
    /// Binds; nothing is answered before [`BoundAdmin::serve`] runs.
    pub async fn bind(self, addr: SocketAddr) -> io::Result<BoundAdmin> {
        let listener = TcpListener::bind(addr).await?;
        Ok(BoundAdmin { addr: listener.local_addr()?, listener, router: self.router() })
    }

    fn router(self) -> Router {
        Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, String) {
    let status = admin.readiness.status();
    let code = if status == Status::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("{status}\n"))
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &admin.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// The admin port, bound.
#[derive(Debug)]
pub struct BoundAdmin {
    addr: SocketAddr,
    listener: TcpListener,
    router: Router,
}

impl BoundAdmin {
    /// The real address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `shutdown` is cancelled, then finishes what it has in hand.
    pub async fn serve(self, shutdown: CancellationToken) -> io::Result<()> {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                // Reaps what has ended; the set would grow for ever otherwise.
                Some(_) = connections.join_next() => continue,
                accepted = async {
                    let slot = slots.clone().acquire_owned().await;
                    (self.listener.accept().await, slot)
                } => accepted,
            };
            match accepted {
                (Ok((stream, peer)), slot) => {
                    let router = self.router.clone();
                    connections.spawn(async move {
                        let _slot = slot;
                        answer(stream, peer, router).await;
                    });
                }
                (Err(error), _) => {
                    warn!(%error, "the admin port cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Bounded: each ends within CONNECTION_TIMEOUT.
        while connections.join_next().await.is_some() {}
        Ok(())
    }
}

async fn answer(stream: TcpStream, peer: SocketAddr, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%peer, %error, "admin connection failed"),
        Err(_) => debug!(%peer, "admin connection closed after {CONNECTION_TIMEOUT:?}"),
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Asks as plainly as a client can, so that the whole answer is seen.
    async fn ask(addr: SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(addr: SocketAddr, path: &str) -> String {
        ask(addr, &format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n")).await
    }

    /// Runs `check` against a served admin port and requires an orderly end.
    async fn with_admin<F: Future<Output = ()>>(check: impl FnOnce(SocketAddr, Readiness) -> F) {
        let mut registry = Registry::default();
        let reads = Counter::<u64>::default();
        registry.register("keyward_reads", "Reads", reads.clone());
        reads.inc();
        let readiness = Readiness::new();
        let admin = Admin { registry: Arc::new(registry), readiness: readiness.clone() };
        let bound = admin.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (addr, shutdown) = (bound.addr(), CancellationToken::new());
        let (served, ()) = tokio::join!(bound.serve(shutdown.clone()), async {
            check(addr, readiness).await;
            shutdown.cancel();
        });
        served.unwrap();
    }

    #[tokio::test]
    async fn readyz_names_what_is_pending() {
        with_admin(|addr, readiness| async move {
            let guard = readiness.require("manifests");
            let answer = get(addr, "/readyz").await;
            assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("waiting for: manifests\n"), "{answer}");
            assert!(get(addr, "/livez").await.starts_with("HTTP/1.1 200"));
            guard.done();
            assert!(get(addr, "/readyz").await.starts_with("HTTP/1.1 200"));
            readiness.set_draining();
            let answer = get(addr, "/readyz").await;
            assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("draining\n"), "{answer}");
        })
        .await;
    }

    #[tokio::test]
    async fn metrics_are_openmetrics() {
        with_admin(|addr, _| async move {
            let answer = get(addr, "/metrics").await;
            assert!(answer.contains(&format!("content-type: {OPENMETRICS}\r\n")), "{answer}");
            assert!(answer.contains("keyward_reads_total 1\n") && answer.ends_with("# EOF\n"), "{answer}");
        })
        .await;
    }

    #[tokio::test]
    async fn other_paths_methods_and_oversize_heads_are_refused() {
        with_admin(|addr, _| async move {
            assert!(get(addr, "/debug").await.starts_with("HTTP/1.1 404"));
            let post = ask(addr, "POST /livez HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\n\r\n").await;
            assert!(post.starts_with("HTTP/1.1 405"), "{post}");
            let oversize = format!("GET /livez HTTP/1.1\r\nhost: {}", "a".repeat(MAX_HEAD));
            let answer = ask(addr, &oversize).await;
            assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        })
        .await;
    }

    #[tokio::test]
    async fn a_silent_client_blocks_nobody() {
        with_admin(|addr, _| async move {
            let silent = TcpStream::connect(addr).await.unwrap();
            assert!(get(addr, "/livez").await.starts_with("HTTP/1.1 200"));
            drop(silent);
        })
        .await;
    }
}
