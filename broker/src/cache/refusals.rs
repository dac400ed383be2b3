//! Answers that an object is not to be had, remembered for a moment: a rollout that asks for a missing object must not
//! ask the vault once for each pod.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use tokio::time::Instant;

use super::{CacheKey, LoadError, is_refusal};
use crate::vault::ReadError;

/// Refusals remembered. Beyond it the vault is asked again.
const MAX: u64 = 10_000;

/// What was refused. Cloning shares it.
#[derive(Clone)]
pub(super) struct Refusals(Cache<CacheKey, Refusal>);

#[derive(Clone)]
struct Refusal {
    error: LoadError,
    read: Instant,
    until: Instant,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Cache::new(MAX))
    }
}

impl Refusals {
    /// The refusal that stands at `now`.
    pub(super) async fn standing(&self, key: &CacheKey, now: Instant) -> Option<LoadError> {
        let refusal = self.0.get(key).await?;
        (now < refusal.until).then_some(refusal.error)
    }

    /// Remembers `error`, the answer to a request that began at `read`, for as long as its kind deserves.
    pub(super) async fn remember(&self, key: CacheKey, error: &LoadError, read: Instant, now: Instant) {
        if let Some(stands) = stands_for(error) {
            self.0.insert(key, Refusal { error: error.clone(), read, until: now + stands }).await;
        }
    }

    /// When the request began by which the vault refused the object, if that was its last word. What was asked for earlier
    /// may not land behind it.
    pub(super) async fn refused_at(&self, key: &CacheKey) -> Option<Instant> {
        let refusal = self.0.get(key).await?;
        is_refusal(&refusal.error).then_some(refusal.read)
    }

    /// Whether somebody may have been told that there is nothing to be had.
    pub(super) fn remembers(&self, key: &CacheKey) -> bool {
        self.0.contains_key(key)
    }

    /// The object was read, or nobody asks for it any more.
    pub(super) async fn lift(&self, key: &CacheKey) {
        self.0.invalidate(key).await;
    }

    /// Every refusal that was not lifted, also where it stands no more.
    pub(super) fn all(&self) -> Vec<(Arc<CacheKey>, LoadError)> {
        self.0.iter().map(|(key, refusal)| (key, refusal.error)).collect()
    }
}

/// How soon the vault may be asked again about one object. Not at all is remembered what the vault's gate deals with.
fn stands_for(error: &LoadError) -> Option<Duration> {
    let seconds = match error {
        // Somebody may be about to create it.
        LoadError::Read(ReadError::NotFound) => 10,
        // Changes of roles take minutes to arrive; enabling is a matter of a person who is looking.
        LoadError::Read(ReadError::Forbidden(_) | ReadError::Disabled) | LoadError::Parse(_) => 30,
        LoadError::Read(ReadError::Malformed(_)) => 5,
        LoadError::Read(ReadError::Unreachable(_) | ReadError::NoToken(_)) => 1,
        LoadError::Read(ReadError::Throttled { .. } | ReadError::Paused { .. })
        | LoadError::Interrupted
        | LoadError::Busy
        | LoadError::NoOwner
        | LoadError::Unsettled => return None,
    };
    Some(Duration::from_secs(seconds))
}
