//! What the registry holds, what it was told to do, and what it was asked.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

use super::{
    access::{Access, Auth},
    answers::{Asked, Does, Kind},
    images::{Document, digest_of},
};

const MAX_SEEN: usize = 4_096;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// On the registry's port, not on the other.
    pub home: bool,
    /// Its kind.
    pub kind: Kind,
    /// Its method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// Its body.
    pub body: String,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) access: Access,
    pub(super) faults: HashMap<Kind, Does>,
    pub(super) counts: HashMap<Kind, u64>,
    pub(super) seen: VecDeque<Seen>,
    blobs: HashMap<String, Vec<u8>>,
    /// By repository and digest.
    manifests: HashMap<(String, String), Document>,
    /// Digests by repository and tag.
    tags: HashMap<(String, String), String>,
}

/// All of it.
pub(super) struct World {
    home: String,
    elsewhere: String,
    pub(super) auth: Auth,
    state: Mutex<State>,
    ticks: watch::Sender<u64>,
}

impl World {
    pub(super) fn new(home: String, elsewhere: String, auth: Auth) -> Self {
        Self { home, elsewhere, auth, state: Mutex::default(), ticks: watch::channel(0).0 }
    }

    pub(super) fn home(&self) -> &str {
        &self.home
    }

    pub(super) fn elsewhere(&self) -> &str {
        &self.elsewhere
    }

    pub(super) fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn add_blob(&self, bytes: Vec<u8>) -> String {
        let digest = digest_of(&bytes);
        self.write(|state| state.blobs.insert(digest.clone(), bytes));
        digest
    }

    pub(super) fn add_manifest(&self, repository: &str, document: Document) -> String {
        let digest = digest_of(&document.bytes);
        self.write(|state| state.manifests.insert((repository.to_owned(), digest.clone()), document));
        digest
    }

    pub(super) fn tag(&self, repository: &str, tag: &str, digest: &str) {
        self.write(|state| state.tags.insert((repository.to_owned(), tag.to_owned()), digest.to_owned()));
    }

    pub(super) fn blob(&self, digest: &str) -> Option<Vec<u8>> {
        self.read(|state| state.blobs.get(digest).cloned())
    }

    /// A manifest by tag or digest, with its digest.
    pub(super) fn manifest(&self, repository: &str, version: &str) -> Option<(String, Document)> {
        self.read(|state| {
            let tagged = state.tags.get(&(repository.to_owned(), version.to_owned()));
            let digest = tagged.map_or(version, String::as_str).to_owned();
            let document = state.manifests.get(&(repository.to_owned(), digest.clone()))?.clone();
            Some((digest, document))
        })
    }

    /// Counts a request; the fault that it meets.
    pub(super) fn note(&self, asked: &Asked) -> Option<Does> {
        let fault = self.write(|state| {
            *state.counts.entry(asked.seen.kind).or_default() += 1;
            state.seen.push_back(asked.seen.clone());
            if state.seen.len() > MAX_SEEN {
                state.seen.pop_front();
            }
            state.faults.get(&asked.seen.kind).cloned()
        });
        self.ticks.send_modify(|ticks| *ticks += 1);
        fault
    }
}
