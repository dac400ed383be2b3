//! A server that speaks the broker's contract and does nothing but answer: what is left of a `Resolve` without Keyward.
//!
//! A process of its own, like the broker, so that its CPU time is its own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use keyward_proto::v1::{
    ResolveRequest, ResolveResponse,
    secrets_server::{Secrets, SecretsServer},
};
use tokio::{net::TcpListener, process::Command};
use tonic::{
    Request, Response, Status,
    transport::{Certificate, Identity, Server as Tonic, ServerTlsConfig, server::TcpIncoming},
};

use super::child::Server;

/// What a reply carries, and how many references its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct Payload {
    /// References in a request, and values in its reply
    #[arg(long, default_value_t = 10)]
    pub values: usize,
    /// Bytes of each value
    #[arg(long, default_value_t = 200)]
    pub bytes: usize,
}

/// What a benchmark's program does besides measuring.
#[derive(clap::Subcommand)]
pub enum ServerOnly {
    /// The other server, which the benchmark starts itself
    #[command(hide = true)]
    Echo {
        /// Directory of the broker's certificate
        #[arg(long)]
        tls_dir: PathBuf,
        /// What it answers
        #[command(flatten)]
        payload: Payload,
    },
}

impl ServerOnly {
    /// Serves until it is killed, and says where on standard error, as the broker does in its log.
    pub async fn serve(self) -> anyhow::Result<()> {
        let Self::Echo { tls_dir, payload } = self;
        serve(&tls_dir, payload, say_where).await
    }
}

#[allow(clippy::print_stderr, reason = "as the broker does, in its log")]
fn say_where(address: SocketAddr) {
    eprintln!("{}", serde_json::json!({ "grpc": address }));
}

/// Starts `program`, which must call [`ServerOnly::serve`], with the broker's certificate.
pub async fn start(program: &Path, tls_dir: &Path, payload: Payload) -> anyhow::Result<Server> {
    let mut command = Command::new(program);
    let Payload { values, bytes } = payload;
    command.arg("echo").arg("--tls-dir").arg(tls_dir);
    command.args(["--values", &values.to_string(), "--bytes", &bytes.to_string()]).env_clear();
    Server::start("the echo server", &mut command).await
}

/// Serves until it is killed. `bound` learns where.
async fn serve(tls_dir: &Path, payload: Payload, bound: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    let read = |name: &str| {
        let path = tls_dir.join(name);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    // The broker asks for a client certificate too and takes none.
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(read("tls.crt")?, read("tls.key")?))
        .client_ca_root(Certificate::from_pem(read("ca.crt")?))
        .client_auth_optional(true);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    bound(listener.local_addr()?);
    let echo = Echo { values: vec![vec![b'x'; payload.bytes]; payload.values] };
    // As the broker sets them.
    let mut server = Tonic::builder()
        .tls_config(tls)?
        .max_concurrent_streams(256)
        .http2_max_header_list_size(32 * 1024)
        .http2_keepalive_interval(Some(Duration::from_secs(60)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(server.add_service(SecretsServer::new(echo)).serve_with_incoming(incoming).await?)
}

struct Echo {
    values: Vec<Vec<u8>>,
}

#[tonic::async_trait]
impl Secrets for Echo {
    async fn resolve(&self, _: Request<ResolveRequest>) -> Result<Response<ResolveResponse>, Status> {
        Ok(Response::new(ResolveResponse { values: self.values.clone() }))
    }
}
