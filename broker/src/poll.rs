//! Version polling: what is cached is compared with its vault, again and again, so that nobody who asks has to wait for it.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`scheduler`](self) | one round for each open vault and interval, and at once where an operator asks | |
//! | `round` | one comparison of everything that is cached of one vault | vault |
//! | `listing` | a collection's stamps, page by page, as far as they are of use | vault |
//! | `plan` | a stamp and what is held → what is to be done | none: pure |
//! | `mode` | list the vault or read each object: whichever takes fewer calls | none: pure |
//!
//! An object counts as confirmed when a listing shows the stamp that it was read with, or when it was read again. It
//! counts as gone only when the vault says so in answer to a read of the object itself: pages of a listing are no
//! snapshot.

mod listing;
mod mode;
mod plan;
mod progress;
mod round;
mod scheduler;

use async_trait::async_trait;

use crate::vault::origin::Origin;

pub use progress::Progress;
pub use scheduler::{Owned, Poller, Refresher, Settings};

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

#[cfg(test)]
mod tests;
