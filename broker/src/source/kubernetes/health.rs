//! How the watches are doing, and the one line that each trouble of theirs is worth.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
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
    /// When it failed last, unless something was heard since.
    failed: Mutex<Option<Instant>>,
}

impl Health {
    /// A watch told something: it is well.
    pub fn heard(&self, watched: Watched) {
        if self.watch(watched).failed().take().is_some() {
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
        let before = watch.failed().replace(now);
        if before.is_none_or(|before| now - before > AFTERMATH) {
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
        self.watch(watched).failed().is_none_or(|failed| failed.elapsed() > AFTERMATH)
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
    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use tokio::time::advance;

    use super::*;

    fn failure(code: u16) -> watcher::Error {
        watcher::Error::WatchError(Status { code, ..Status::default() }.boxed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_well_again_when_it_tells_something_or_has_not_failed_for_a_while() {
        let health = Health::default();
        health.failed(Watched::Vaults, &failure(500));
        assert!(!health.is_well(Watched::Vaults) && health.is_well(Watched::Secrets));
        health.heard(Watched::Vaults);
        assert!(health.is_well(Watched::Vaults));
        health.failed(Watched::Vaults, &failure(500));
        advance(AFTERMATH).await;
        assert!(!health.is_well(Watched::Vaults));
        advance(Duration::from_secs(1)).await;
        assert!(health.is_well(Watched::Vaults));
        assert_eq!((health.failures(Watched::Vaults), health.failures(Watched::Secrets)), (2, 0));
    }

    #[test]
    fn what_the_api_server_has_forgotten_is_no_failure() {
        let health = Health::default();
        health.failed(Watched::Secrets, &failure(410));
        assert!(health.is_well(Watched::Secrets));
        assert_eq!(health.failures(Watched::Secrets), 0);
    }
}
