//! A container registry that answers as told: images pushed by code, open, by password or by token, with Azure's token
//! exchange, and with faults. It counts every request. Two ports: the registry's, and one elsewhere, where blobs and tokens
//! may be.

mod access;
mod answers;
mod images;
mod world;

use std::{io, net::SocketAddr, sync::Arc};

use axum::{Router, body::Body, extract::Request, response::Response};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use self::{
    access::Auth,
    answers::{Does, Kind},
    images::{FakeImage, digest_of},
    world::Seen,
};
use self::{images::Document, world::World};
use crate::{
    ca::{CaError, TestCa},
    vault::server::{TlsError, serve, tls},
};

/// Why there is no registry.
#[derive(Debug, thiserror::Error)]
pub enum FakeRegistryError {
    /// Its certificate.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// Its TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its ports.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
}

/// A running registry. It ends when this is dropped.
pub struct FakeRegistry {
    world: Arc<World>,
    address: SocketAddr,
    elsewhere: SocketAddr,
    stop: CancellationToken,
    _servers: [JoinHandle<()>; 2],
}

/// Requests that wait; they go on when this is opened or dropped.
pub struct Held(Arc<Semaphore>);

impl FakeRegistry {
    /// On free ports of 127.0.0.1; with TLS where there is a CA, for `127.0.0.1` and `localhost`.
    pub async fn start(ca: Option<&TestCa>, auth: Auth) -> Result<Self, FakeRegistryError> {
        let acceptor = match ca {
            Some(ca) => Some(tls(&ca.issue_server(&["localhost", "127.0.0.1"])?)?),
            None => None,
        };
        let listeners = [TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?];
        let [address, elsewhere] = [listeners[0].local_addr()?, listeners[1].local_addr()?];
        let scheme = if ca.is_some() { "https" } else { "http" };
        let world = Arc::new(World::new(format!("{scheme}://{address}"), format!("{scheme}://{elsewhere}"), auth));
        let stop = CancellationToken::new();
        let mut home = true;
        let servers = listeners.map(|listener| {
            let router = router(world.clone(), home);
            home = false;
            tokio::spawn(serve(listener, acceptor.clone(), router, stop.clone()))
        });
        Ok(Self { world, address, elsewhere, stop, _servers: servers })
    }

    /// `127.0.0.1:PORT`, as images name it.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// `localhost:PORT`, the same registry.
    pub fn local_host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// The other port's URL, without a path.
    pub fn elsewhere(&self) -> &str {
        self.world.elsewhere()
    }

    /// The other port.
    pub fn elsewhere_port(&self) -> u16 {
        self.elsewhere.port()
    }

    /// Pushes an image; its manifest's digest.
    pub fn push(&self, repository: &str, tag: &str, image: &FakeImage) -> String {
        let digest = self.push_blobs(repository, image);
        self.world.tag(repository, tag, &digest);
        digest
    }

    /// Pushes an index of images, each for an `os/architecture`, and an attestation as buildkit does; its digest.
    pub fn push_index(&self, repository: &str, tag: &str, images: &[(&str, FakeImage)]) -> String {
        let mut entries = Vec::new();
        for (platform, image) in images {
            entries.push(((*platform).to_owned(), self.push_blobs(repository, image)));
        }
        entries.push(("unknown/unknown".to_owned(), digest_of(b"attestation")));
        self.push_document(repository, tag, Document::index(&entries))
    }

    /// Pushes any manifest; its digest.
    pub fn push_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) -> String {
        self.push_document(repository, tag, Document::new(media_type, bytes.to_vec()))
    }

    /// Pushes any blob; its digest.
    pub fn push_blob(&self, bytes: &[u8]) -> String {
        self.world.add_blob(bytes.to_vec())
    }

    /// Only these users may read a repository; before, anybody may whom the registry lets in.
    pub fn allow(&self, repository: &str, users: &[&str]) {
        self.world.write(|state| {
            state.access.private.insert(repository.to_owned(), users.iter().map(ToString::to_string).collect());
        });
    }

    /// A user with a password.
    pub fn add_user(&self, user: &str, password: &str) {
        self.world.write(|state| state.access.passwords.insert(user.to_owned(), password.to_owned()));
    }

    /// A refresh token that stands for a user, as `identitytoken` of a pull secret.
    pub fn add_identity_token(&self, token: &str, user: &str) {
        self.world.write(|state| state.access.refresh.insert(token.to_owned(), user.to_owned()));
    }

    /// A token of Entra that may be exchanged; the identity is the user `identity`.
    pub fn add_entra_token(&self, token: &str) {
        self.world.write(|state| state.access.entra.insert(token.to_owned()));
    }

    /// Where the challenge says that tokens are, instead of `/token` here.
    pub fn set_realm(&self, realm: &str) {
        self.world.write(|state| state.access.realm = Some(realm.to_owned()));
    }

    /// Tells what happens to requests of a kind from now on, instead of what should.
    pub fn fault(&self, kind: Kind, does: Does) {
        self.world.write(|state| state.faults.insert(kind, does));
    }

    /// No faults any more.
    pub fn mend(&self) {
        self.world.write(|state| state.faults.clear());
    }

    /// Requests of a kind wait, then are answered as ever.
    pub fn hold(&self, kind: Kind) -> Held {
        let gate = Arc::new(Semaphore::new(0));
        self.fault(kind, Does::Wait(gate.clone()));
        Held(gate)
    }

    /// How many requests of a kind came.
    pub fn count(&self, kind: Kind) -> u64 {
        self.world.read(|state| state.counts.get(&kind).copied().unwrap_or(0))
    }

    /// How many requests came in all.
    pub fn total(&self) -> u64 {
        self.world.read(|state| state.counts.values().sum())
    }

    /// Returns once so many requests of a kind have come.
    pub async fn came(&self, kind: Kind, at_least: u64) {
        let mut ticks = self.world.ticks();
        while self.count(kind) < at_least {
            if ticks.changed().await.is_err() {
                return;
            }
        }
    }

    /// The latest requests, oldest first; no more than some thousands are kept.
    pub fn seen(&self) -> Vec<Seen> {
        self.world.read(|state| state.seen.iter().cloned().collect())
    }

    fn push_blobs(&self, repository: &str, image: &FakeImage) -> String {
        let config = self.world.add_blob(image.config());
        self.world.add_manifest(repository, Document::image(&config))
    }

    fn push_document(&self, repository: &str, tag: &str, document: Document) -> String {
        let digest = self.world.add_manifest(repository, document);
        self.world.tag(repository, tag, &digest);
        digest
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Held {
    /// Lets them go on.
    pub fn open(self) {}
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn router(world: Arc<World>, home: bool) -> Router {
    Router::new().fallback(move |request: Request<Body>| {
        let world = world.clone();
        async move { respond(&world, home, request).await }
    })
}

async fn respond(world: &World, home: bool, request: Request<Body>) -> Response {
    let asked = answers::Asked::read(home, request).await;
    let fault = world.note(&asked);
    answers::answer(world, &asked, fault).await
}

#[cfg(test)]
mod tests;
