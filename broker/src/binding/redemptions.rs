//! Where the records are: in this process ([`Own`]), or with the replica that owns the pod ([`super::shared`]).

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::ledger::{Handed, Ledger, Moment, Redemption, Verdict};

/// The records cannot be asked: whoever owns them is gone, and nobody else has them yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the replica that keeps this pod's records does not answer: {0}")]
pub struct Unreachable(pub String);

/// The records.
#[async_trait]
pub trait Redemptions: Send + Sync {
    /// Decides, and records what is granted.
    async fn redeem(&self, redemption: &Redemption) -> Result<Verdict, Unreachable>;
}

/// Those of this process.
#[derive(Debug)]
pub struct Own(Mutex<Ledger>);

impl Own {
    /// None yet.
    pub fn new() -> Self {
        Self(Mutex::new(Ledger::new(Moment::now())))
    }

    /// How many there are, and how many had to go before their time.
    pub fn count(&self) -> (usize, u64) {
        let ledger = self.ledger();
        (ledger.len(), ledger.pushed_out())
    }

    /// See [`Ledger::redeem`].
    pub fn decide(&self, redemption: &Redemption) -> Verdict {
        self.ledger().redeem(redemption, Moment::now())
    }

    /// Records of pods whose UID is `wanted`, for somebody else.
    pub fn hand_over(&self, wanted: impl Fn(&str) -> bool) -> Vec<Handed> {
        // Whose they are is worked out without the lock: others redeem meanwhile.
        let all = self.ledger().hand_over(Moment::now().instant);
        all.into_iter().filter(|handed| wanted(&handed.key.pod_uid)).collect()
    }

    /// See [`Ledger::take_over`].
    pub fn take_over(&self, handed: Vec<Handed>) {
        self.ledger().take_over(handed, Moment::now());
    }

    /// See [`Ledger::doubt`].
    pub fn doubt(&self) {
        self.ledger().doubt(Moment::now());
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Own {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Redemptions for Own {
    async fn redeem(&self, redemption: &Redemption) -> Result<Verdict, Unreachable> {
        Ok(self.decide(redemption))
    }
}
