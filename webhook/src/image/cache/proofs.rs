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

#[cfg(test)]
mod tests {
    use super::{
        super::super::{ImageConfig, Wanted, reference::parse_reference},
        *,
    };

    fn question() -> Key {
        let wanted = Wanted {
            image: "nginx".into(),
            architecture: None,
            namespace: "shop".into(),
            pull_secrets: Vec::new(),
            service_account: "default".into(),
        };
        Key::question(&wanted, &parse_reference("nginx").unwrap(), "amd64")
    }

    fn proof(entrypoint: &str, until: Instant) -> Proof {
        let config = ImageConfig { entrypoint: vec![entrypoint.to_owned()], ..ImageConfig::default() };
        Proof { config: Arc::new(config), until }
    }

    #[tokio::test]
    async fn a_proof_stands_until_its_time_and_is_then_made_anew() {
        let (proofs, question, start) = (Proofs::new(Duration::from_secs(300)), question(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let asked = |now, answer| {
            let (proofs, question) = (&proofs, question);
            async move { proofs.prove(question, now, async move { Ok(answer) }).await.unwrap().entrypoint[0].clone() }
        };
        assert_eq!(asked(at(0), proof("/old", at(60))).await, "/old");
        assert!(proofs.standing(&question, at(59)).await.is_some());
        assert_eq!(asked(at(59), proof("/new", at(120))).await, "/old");
        assert!(proofs.standing(&question, at(60)).await.is_none());
        assert_eq!(asked(at(60), proof("/new", at(120))).await, "/new");
    }
}
