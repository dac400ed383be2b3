//! A Kubernetes API server that plays a part: reads, lists, watches and writes of a few kinds, and reviews, over HTTP on a
//! port of its own. Tests put objects in, script reviews, take it down, and read what it was asked.
//!
//! It knows no schema and no rights: what a real one refuses is tested against a real one.
//!
//! | room | does |
//! |---|---|
//! | `resource` | the kinds of objects there are, and which of them a path means |
//! | `routes` | requests in, answers out |
//! | `watches` | lines of what happens |
//! | `store` | the objects, and what happened to them |
//! | `patch`, `selector`, `shape` | what a patch makes of an object, which objects are meant, answers: pure |
//! | `reviews` | reviews by script |

mod patch;
mod resource;
mod reviews;
mod routes;
mod selector;
mod shape;
mod store;
mod watches;

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

pub use self::{
    resource::{Resource, SECRETS, VAULTS},
    reviews::{AccessReview, TokenStatus},
};
use self::{reviews::Reviews, store::Store};

/// The server. Dropping it ends it.
pub struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

/// What requests and tests share.
struct Shared {
    state: Mutex<State>,
    /// Moved on by whatever a watch would tell.
    moved: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    store: Store,
    reviews: Reviews,
    requests: Vec<Asked>,
    down: bool,
    /// Whose lists and reads by name are kept back.
    held: Vec<Resource>,
    /// Whose reads by name are refused.
    forbidden: Vec<Resource>,
    /// Namespaces in which no list and no watch begins.
    closed: HashSet<String>,
    /// A watch that began under an earlier number ends.
    watches: u64,
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// The header `Accept`.
    pub accept: String,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.moved.send_modify(|count| *count += 1);
        changed
    }
}

impl ApiServer {
    /// One without objects, that accepts no token.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { state: Mutex::default(), moved: watch::Sender::new(0) });
        let router = routes::router(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            // It ends with the runtime, or is dropped.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, _serving: serving })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig for it, whose context is in `namespace`.
    pub fn kubeconfig(&self, namespace: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: \"{}\"}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test, namespace: {namespace}}}}}]\n\
             users: [{{name: test, user: {{}}}}]\n",
            self.url()
        )
    }

    /// Puts an object in, or replaces it: its UID stays, its generation counts changes of its spec.
    pub fn put(&self, resource: Resource, object: Value) {
        self.shared.change(|state| state.store.put(resource, object));
    }

    /// Puts an object in, from YAML. A document more is an object more.
    ///
    /// # Panics
    ///
    /// Where a document is no YAML object.
    pub fn apply(&self, resource: Resource, yaml: &str) {
        for document in yaml.split("---\n").filter(|document| !document.trim().is_empty()) {
            let object = serde_saphyr::from_str(document).unwrap_or(Value::Null);
            assert!(object.is_object(), "no YAML object: {document}");
            self.put(resource, object);
        }
    }

    /// Changes an object, and nobody writes in between; true if it is there.
    pub fn edit(&self, resource: Resource, namespace: &str, name: &str, edit: impl FnOnce(&mut Value)) -> bool {
        self.shared.change(|state| {
            let Some(mut object) = state.store.get(resource, namespace, name) else { return false };
            edit(&mut object);
            state.store.put(resource, object);
            true
        })
    }

    /// Deletes an object, if it is there.
    pub fn delete(&self, resource: Resource, namespace: &str, name: &str) {
        let key = (resource, namespace.to_owned(), name.to_owned());
        let _ = self.shared.change(|state| state.store.delete(&key, &Value::Null));
    }

    /// Deletes an object, and no watch is ever told: what happened is forgotten, and every watch must begin anew.
    pub fn delete_unheard(&self, resource: Resource, namespace: &str, name: &str) {
        let key = (resource, namespace.to_owned(), name.to_owned());
        self.shared.change(|state| {
            let _ = state.store.delete(&key, &Value::Null);
            state.store.forget();
            state.watches += 1;
        });
    }

    /// The object as it is now.
    pub fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Value> {
        self.shared.state().store.get(resource, namespace, name)
    }

    /// Tells every watch how far it has come, and nothing else.
    pub fn bookmark(&self) {
        self.shared.change(|state| state.store.bookmark());
    }

    /// Ends every watch.
    pub fn end_watches(&self) {
        self.shared.change(|state| state.watches += 1);
    }

    /// Breaks every connection from now on, until [`Self::up`].
    pub fn down(&self) {
        self.shared.change(|state| {
            state.down = true;
            state.watches += 1;
        });
    }

    /// Answers again.
    pub fn up(&self) {
        self.shared.change(|state| state.down = false);
    }

    /// Refuses reads by name of this kind.
    pub fn forbid(&self, resource: Resource) {
        self.shared.change(|state| state.forbidden.push(resource));
    }

    /// Refuses lists and watches of this namespace that begin from now on, until [`Self::reopen`].
    pub fn close(&self, namespace: &str) {
        self.shared.change(|state| state.closed.insert(namespace.to_owned()));
    }

    /// Answers them again.
    pub fn reopen(&self, namespace: &str) {
        self.shared.change(|state| state.closed.remove(namespace));
    }

    /// Answers lists of this kind, and reads by name, only after [`Self::release`].
    pub fn hold(&self, resource: Resource) {
        self.shared.change(|state| state.held.push(resource));
    }

    /// Answers all of them again.
    pub fn release(&self) {
        self.shared.change(|state| state.held.clear());
    }

    /// What a review says of `token`.
    pub fn review(&self, token: &str, status: TokenStatus) {
        self.shared.change(|state| state.reviews.tokens.insert(token.to_owned(), status));
    }

    /// `user` may do `verb` to `caches.keyward.dev`.
    pub fn allow(&self, user: &str, verb: &str) {
        self.shared.change(|state| state.reviews.allowed.insert((user.to_owned(), verb.to_owned())));
    }

    /// Reviews of tokens so far.
    pub fn token_reviews(&self) -> usize {
        self.shared.state().reviews.asked_tokens
    }

    /// Reviews of access so far.
    pub fn access_reviews(&self) -> Vec<AccessReview> {
        self.shared.state().reviews.asked_access.clone()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Asked> {
        self.shared.state().requests.clone()
    }

    /// Returns once there was a request that is `wanted`.
    pub async fn asked(&self, wanted: impl Fn(&Asked) -> bool) {
        let mut moved = self.shared.moved.subscribe();
        while !self.shared.state().requests.iter().any(&wanted) {
            // The sender lives as long as `self`.
            let _ = moved.changed().await;
        }
    }

    /// Returns once what the store holds is `wanted`.
    pub async fn until(&self, wanted: impl Fn(&Self) -> bool) {
        let mut moved = self.shared.moved.subscribe();
        while !wanted(self) {
            let _ = moved.changed().await;
        }
    }
}
