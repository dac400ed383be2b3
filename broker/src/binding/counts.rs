//! How binding went, for the admin port.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Grant, Redeemed, refusal::Reason};

/// Counters.
#[derive(Debug, Default)]
pub struct Counts {
    refusals: [AtomicU64; Reason::ALL.len()],
    unrecorded: AtomicU64,
    unnamed: AtomicU64,
}

impl Counts {
    /// How often something was refused for `reason`.
    pub fn refusals(&self, reason: Reason) -> u64 {
        self.refusals[reason as usize].load(Ordering::Relaxed)
    }

    /// Grants for which a record may have been lost.
    pub fn unrecorded(&self) -> u64 {
        self.unrecorded.load(Ordering::Relaxed)
    }

    /// Grants to launchers that were not told their container's name.
    pub fn unnamed(&self) -> u64 {
        self.unnamed.load(Ordering::Relaxed)
    }

    pub(super) fn granted(&self, redeemed: Redeemed) {
        match redeemed {
            Redeemed::Process(Grant::Unrecorded) => self.unrecorded.fetch_add(1, Ordering::Relaxed),
            Redeemed::Unnamed => self.unnamed.fetch_add(1, Ordering::Relaxed),
            Redeemed::Process(_) => return,
        };
    }

    pub(super) fn refused(&self, reason: Reason) {
        self.refusals[reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}
