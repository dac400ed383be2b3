//! Where polling one vault stands: what its rounds learned, for the next round and for people.

use std::time::SystemTime;

use tokio::time::Instant;

use super::mode::{Choice, Learned};
use crate::vault::Collection;

/// Where polling one vault stands.
#[derive(Debug, Default)]
pub struct Progress {
    /// When the last round that ended well began, by the wall clock, for people.
    pub checked_at: Option<SystemTime>,
    /// The same, to compare with.
    pub checked: Option<Instant>,
    /// Why the last round did not end.
    pub last_error: Option<String>,
    /// Rounds that ended well since the vault was opened.
    pub ended_well: u64,
    /// Rounds that did not.
    pub failed: u64,
    /// Of these, the last ones.
    pub(super) failed_in_a_row: u32,
    /// Changes that they found.
    pub changes: u64,
    pub(super) secrets: Learned,
    pub(super) keys: Learned,
    pub(super) last_choice: Option<Choice>,
}

impl Progress {
    /// A round did not end well.
    pub(super) fn fail(&mut self) {
        self.failed += 1;
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
    }

    /// What was learned of `collection`.
    pub(super) fn learned(&mut self, collection: Collection) -> &mut Learned {
        match collection {
            Collection::Secrets => &mut self.secrets,
            Collection::Keys => &mut self.keys,
        }
    }

    /// How changes are found, in words; empty before the first round.
    pub fn mode(&self) -> &'static str {
        let now = Instant::now();
        match self.last_choice {
            None => "",
            Some(Choice::List { .. }) => "list",
            Some(Choice::Read) if self.secrets.list_refused(now) || self.keys.list_refused(now) => "get: list refused",
            Some(Choice::Read) => "get",
        }
    }
}
