//! The server. It runs on a thread of its own, so that a test can be plain blocking code that starts processes.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use keyward_proto::v1::secrets_server::{Secrets, SecretsServer};
use keyward_proto::v1::{ResolveRequest, ResolveResponse};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::authority::Certified;

/// One `Resolve` as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which call this is, from 1.
    pub number: usize,
    /// What followed `Bearer ` in the `authorization` metadata.
    pub token: Option<String>,
    /// The references, as they would stand in an environment.
    pub references: Vec<String>,
    /// The container that it says to be.
    pub container: String,
    /// What it drew.
    pub nonce: Vec<u8>,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StandInError {
    /// No thread, no runtime, or the address is taken.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's own reason.
        source: io::Error,
    },
    /// The certificate or key was not accepted.
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] tonic::transport::Error),
}

type Answer = dyn Fn(&Call) -> Result<Vec<Vec<u8>>, Status> + Send + Sync;

/// A running server. It stops when this value is dropped.
pub struct StandIn {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Serves on `address` (port 0 for a free one) and asks `answer` for each reply.
    pub fn start(
        address: SocketAddr,
        certified: &Certified,
        answer: impl Fn(&Call) -> Result<Vec<Vec<u8>>, Status> + Send + Sync + 'static,
    ) -> Result<Self, StandInError> {
        let failed = |source| StandInError::Listen { address, source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let identity = Identity::from_pem(&certified.certificate, &certified.key);
        let mut server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity))?;

        let calls = Arc::new(Mutex::new(Vec::new()));
        let scripted = Scripted { calls: Arc::clone(&calls), answer: Box::new(answer) };
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || {
            // A stand-in that breaks shows in the test as a connection failure; there is nobody else to tell.
            let _ended = runtime.block_on(async {
                let service = SecretsServer::new(scripted).max_decoding_message_size(keyward_proto::MAX_REQUEST_BYTES);
                // As the broker does: a reply held back for the client's acknowledgement would take 40 ms.
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                let serving = server.add_service(service).serve_with_incoming(incoming);
                tokio::select! { ended = serving => ended, _ = stopped => Ok(()) }
            });
        };
        let thread = std::thread::Builder::new().name("stand-in".to_owned()).spawn(serve).map_err(failed)?;
        Ok(Self { address, calls, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every call so far, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _already_stopped = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

struct Scripted {
    calls: Arc<Mutex<Vec<Call>>>,
    answer: Box<Answer>,
}

impl Scripted {
    fn record(&self, request: Request<ResolveRequest>) -> Call {
        let bearer = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
        let ResolveRequest { references, container, nonce } = request.into_inner();
        let references = references.into_iter().map(|reference| match reference.query {
            Some(query) => format!("{}@azurekeyvault?{query}", reference.name),
            None => format!("{}@azurekeyvault", reference.name),
        });
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let call = Call { number: calls.len() + 1, token, references: references.collect(), container, nonce };
        calls.push(call.clone());
        call
    }
}

#[tonic::async_trait]
impl Secrets for Scripted {
    async fn resolve(&self, request: Request<ResolveRequest>) -> Result<Response<ResolveResponse>, Status> {
        let values = (self.answer)(&self.record(request))?;
        Ok(Response::new(ResolveResponse { values }))
    }
}
