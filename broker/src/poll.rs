//! Version polling: what is cached is compared with its vault, again and again.

use async_trait::async_trait;

use crate::vault::origin::Origin;

/// Lets an operator have a check made now.
#[async_trait]
pub trait Refresh: Send + Sync {
    /// Checks what is cached of `vault`, or of every open vault, and returns when that is done. Empty where nothing is
    /// open there.
    async fn refresh(&self, vault: Option<&Origin>) -> Vec<Refreshed>;
}

/// What one check did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// The vault.
    pub vault: Origin,
    /// Objects compared.
    pub checked: u64,
    /// Objects replaced, or no longer served.
    pub changed: u64,
    /// Why it did not end.
    pub error: Option<String>,
}
