//! What the cache has counted.

use std::sync::atomic::{AtomicU64, Ordering};

use super::ObjectCache;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) stale_hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) older: AtomicU64,
}

/// A moment's totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Objects held.
    pub entries: u64,
    /// Their estimated memory.
    pub bytes: u64,
    /// The bound on it.
    pub max_bytes: u64,
    /// Answered from memory since the start.
    pub hits: u64,
    /// Of these, those that the vault could not confirm in time.
    pub stale_hits: u64,
    /// Waited for a vault since the start.
    pub misses: u64,
    /// Refused from memory since the start: the vault had just refused them.
    pub refused: u64,
    /// Answers with a version made before the one held, which were not taken.
    pub older: u64,
}

impl ObjectCache {
    /// Totals of this moment.
    pub fn totals(&self) -> Totals {
        let (entries, bytes) = self.store.size();
        let Counters { hits, stale_hits, misses, refused, older } = &*self.counters;
        Totals {
            entries,
            bytes,
            max_bytes: self.max_bytes,
            hits: hits.load(Ordering::Relaxed) + stale_hits.load(Ordering::Relaxed),
            stale_hits: stale_hits.load(Ordering::Relaxed),
            misses: misses.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
            older: older.load(Ordering::Relaxed),
        }
    }
}
