//! Where the records are: in this process ([`Own`]), or with the replica that owns the pod.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::ledger::{Ledger, Moment, Redemption, Verdict};

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
        let ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (ledger.len(), ledger.pushed_out())
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
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).redeem(redemption, Moment::now()))
    }
}
