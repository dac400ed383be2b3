//! What lookups came to, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Outcomes of questions, in the order that [`Figures::outcomes`] has.
const LABELS: [&str; 10] =
    ["proven", "shared", "cached", "fetched", "reference", "denied", "status", "transport", "content", "deadline"];

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// How many questions had which outcome. `proven`: answered from memory; `shared`: by another's lookup; `cached`: the
    /// registry was asked for rights only; `fetched`: for everything. The rest are failures: `reference`, `denied`,
    /// `status`, `transport`, `content`, `deadline`.
    pub outcomes: Vec<(&'static str, u64)>,
    /// Configurations in memory.
    pub entries: u64,
    /// What they weigh, in bytes.
    pub bytes: u64,
    /// Proven rights in memory.
    pub proofs: u64,
}

/// Counts by outcome.
#[derive(Debug, Default)]
pub(super) struct Counts([AtomicU64; LABELS.len()]);

impl Counts {
    pub(super) fn add(&self, label: &str) {
        let counted = LABELS.iter().position(|known| *known == label).and_then(|index| self.0.get(index));
        debug_assert!(counted.is_some(), "{label} is no outcome");
        if let Some(count) = counted {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
        LABELS.iter().zip(&self.0).map(|(label, count)| (*label, count.load(Ordering::Relaxed))).collect()
    }
}
