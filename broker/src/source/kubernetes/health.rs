//! How the watches are doing, and the one line that each trouble of theirs is worth.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kube::runtime::watcher;
use tokio::time::Instant;

use crate::cluster::ask::root_cause;

/// A watch that is down is tried again more often than this, and fails each time. So one that has not failed for longer is
/// well, though nothing may have happened that it could have told.
const AFTERMATH: Duration = Duration::from_secs(60);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// `AzureKeyVaultSecret`s
    Secrets,
    /// `AzureKeyVault`s
    Vaults,
    /// Namespaces
    Namespaces,
}

impl Watched {
    /// All of it.
    pub const ALL: [Self; 3] = [Self::Secrets, Self::Vaults, Self::Namespaces];

    /// As the API server names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secrets => "azurekeyvaultsecrets.spv.no",
            Self::Vaults => "azurekeyvaults.keyward.dev",
            Self::Namespaces => "namespaces",
        }
    }
}

/// How all watches are doing.
#[derive(Debug, Default)]
pub struct Health {
    watches: [Watch; 3],
    snapshots: AtomicU64,
}

#[derive(Debug, Default)]
struct Watch {
    failures: AtomicU64,
    failing_since: Mutex<Option<Failing>>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    last: Instant,
}

impl Health {
    /// A watch told something: it is well.
    pub fn heard(&self, watched: Watched) {
        if self.watch(watched).failing().take().is_some() {
            tracing::info!(watched = watched.as_str(), "the watch is well again");
        }
    }

    /// A watch failed.
    pub fn failed(&self, watched: Watched, error: &watcher::Error) {
        // The API server does not remember that far back; a new list follows at once.
        if matches!(error, watcher::Error::WatchError(status) if status.code == 410) {
            tracing::debug!(watched = watched.as_str(), "the watch begins anew");
            return;
        }
        let (watch, now) = (self.watch(watched), Instant::now());
        watch.failures.fetch_add(1, Ordering::Relaxed);
        let before = watch.failing().replace(Failing { last: now });
        if before.is_none_or(|before| now - before.last > AFTERMATH) {
            let error = root_cause(error);
            tracing::error!(
                watched = watched.as_str(),
                error,
                "the watch fails; what was heard last holds, and it is tried again and again"
            );
        }
    }

    /// Whether a watch is well, as far as can be told.
    pub fn is_well(&self, watched: Watched) -> bool {
        self.watch(watched).failing().is_none_or(|failing| failing.last.elapsed() > AFTERMATH)
    }

    /// Its failures since the start.
    pub fn failures(&self, watched: Watched) -> u64 {
        self.watch(watched).failures.load(Ordering::Relaxed)
    }

    /// One more snapshot was published.
    pub fn published(&self) {
        self.snapshots.fetch_add(1, Ordering::Relaxed);
    }

    /// Snapshots since the start.
    pub fn snapshots(&self) -> u64 {
        self.snapshots.load(Ordering::Relaxed)
    }

    fn watch(&self, watched: Watched) -> &Watch {
        &self.watches[watched as usize]
    }
}

impl Watch {
    fn failing(&self) -> std::sync::MutexGuard<'_, Option<Failing>> {
        self.failing_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
