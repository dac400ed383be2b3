//! A server that speaks the webhook's contract and does nothing but read the review and answer: what is left of an admission
//! without Keyward. It has the webhook's TLS and HTTP settings, and answers what the webhook answered once, with the
//! review's own UID in it.
//!
//! A process of its own, like the webhook, so that its CPU time is its own.

use std::{
    convert::Infallible,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::post,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use k8s_openapi::api::core::v1::Pod;
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde::Deserialize;
use tokio::{
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::bench::child::Server;

/// As the webhook's connections may idle.
const IDLE: Duration = Duration::from_secs(120);

/// What the server is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Directory with tls.crt, tls.key and ca.crt
    #[arg(long)]
    pub tls_dir: PathBuf,
    /// File with an answer
    #[arg(long)]
    pub answer: PathBuf,
    /// The UID in it, which is replaced
    #[arg(long)]
    pub uid: String,
}

/// Starts `program`, which must call [`serve`], with the webhook's certificate and one of its answers.
pub async fn start(program: &Path, tls_dir: &Path, answer: &[u8], uid: &str) -> anyhow::Result<Server> {
    let file = tls_dir.join("answer.json");
    fs::write(&file, answer).context("cannot write the answer")?;
    let mut command = Command::new(program);
    command.arg("bare").arg("--tls-dir").arg(tls_dir).arg("--answer").arg(file).arg("--uid").arg(uid).env_clear();
    Server::start_saying("server", "the bare server", &mut command).await
}

/// Serves until it is killed. `bound` learns where.
pub async fn serve(args: &Args, bound: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    let answer = Fixed::read(&args.answer, &args.uid)?;
    let acceptor = TlsAcceptor::from(Arc::new(tls(&args.tls_dir)?));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    bound(listener.local_addr()?);
    let router = Router::new().route("/pods", post(pods)).with_state(Arc::new(answer));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                connections.spawn(connection(stream, acceptor.clone(), router.clone()));
            }
            Some(ended) = connections.join_next() => ended??,
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let stream = TokioIo::new(acceptor.accept(stream).await?);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE);
    // A client that goes away without a word is no failure.
    let _ = http.serve_connection(stream, TowerToHyperService::new(router)).await;
    Ok(())
}

/// TLS 1.3, HTTP/1.1, client certificates asked for and optional: as the webhook's.
fn tls(directory: &Path) -> anyhow::Result<ServerConfig> {
    let read = |name: &str| {
        let path = directory.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let certificates = |pem: &[u8]| CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let mut roots = RootCertStore::empty();
    for authority in certificates(&read("ca.crt")?)? {
        roots.add(authority)?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
        .with_single_cert(certificates(&read("tls.crt")?)?, PrivateKeyDer::from_pem_slice(&read("tls.key")?)?)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The parts of the review that a webhook reads: the whole pod, typed.
#[derive(Deserialize)]
struct Review {
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    uid: String,
    namespace: String,
    operation: String,
    object: Pod,
}

async fn pods(State(answer): State<Arc<Fixed>>, body: Bytes) -> Result<Response, Infallible> {
    let Ok(Review { request }) = serde_json::from_slice::<Review>(&body) else {
        return Ok(StatusCode::BAD_REQUEST.into_response());
    };
    let has_containers = request.object.spec.is_some_and(|spec| !spec.containers.is_empty());
    if request.operation != "CREATE" || request.namespace.is_empty() || !has_containers {
        return Ok(StatusCode::BAD_REQUEST.into_response());
    }
    Ok(([(CONTENT_TYPE, "application/json")], answer.with(&request.uid)).into_response())
}

/// An answer around its UID.
struct Fixed {
    before: Bytes,
    after: Bytes,
}

impl Fixed {
    fn read(path: &Path, uid: &str) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let (before, after) = text.split_once(uid).context("the answer has another UID")?;
        ensure!(!after.contains(uid), "the answer has its UID twice");
        Ok(Self { before: before.to_owned().into(), after: after.to_owned().into() })
    }

    fn with(&self, uid: &str) -> Bytes {
        let mut answer = BytesMut::with_capacity(self.before.len() + uid.len() + self.after.len());
        for part in [&self.before, uid.as_bytes(), &self.after] {
            answer.put_slice(part);
        }
        answer.freeze()
    }
}
