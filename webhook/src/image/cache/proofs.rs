//! Proofs that a question may be answered, each with the answer; and one lookup at a time for a question.

use std::{future::Future, sync::Arc, time::Duration};

use moka::future::Cache;
use tokio::time::Instant;

use super::{
    super::{SharedConfig, error::ImageError},
    key::Key,
};

/// About 600 bytes each.
const MAX: u64 = 10_000;

/// Proofs by question.
pub(super) struct Proofs(Cache<Key, Proof>);

/// An answer, and until when it may be given.
#[derive(Clone)]
pub(super) struct Proof {
    pub(super) config: SharedConfig,
    pub(super) until: Instant,
}

impl Proofs {
    /// `longest` is how long a proof lasts at most: what frees its memory.
    pub(super) fn new(longest: Duration) -> Self {
        Self(Cache::builder().max_capacity(MAX).time_to_live(longest.max(Duration::from_secs(1))).build())
    }

    /// The answer that may be given at `now`.
    pub(super) async fn standing(&self, question: &Key, now: Instant) -> Option<SharedConfig> {
        let proof = self.0.get(question).await?;
        (now < proof.until).then_some(proof.config)
    }

    /// Runs `load`, or waits for another that runs for the same question.
    pub(super) async fn prove<F>(&self, question: Key, now: Instant, load: F) -> Result<SharedConfig, Arc<ImageError>>
    where
        F: Future<Output = Result<Proof, ImageError>>,
    {
        // moka goes by its own clock. Should another have proven it anew since: one lookup more, no wrong answer.
        if self.0.get(&question).await.is_some_and(|proof| proof.until <= now) {
            self.0.invalidate(&question).await;
        }
        self.0.try_get_with(question, load).await.map(|proof| proof.config)
    }

    pub(super) fn count(&self) -> u64 {
        self.0.entry_count()
    }
}
