//! How a vault is doing, as those tell who poll it and spend its budget.

use std::time::SystemTime;

use keyward_proto::v1;

use super::page::clipped;
use crate::{grpc::timestamp, policy::VaultEntry};

/// Where the state of vaults is known. Any function of a declaration will do.
pub trait VaultStates: Send + Sync {
    /// The state of one vault at this moment.
    fn of(&self, vault: &VaultEntry) -> VaultState;
}

impl<F: Fn(&VaultEntry) -> VaultState + Send + Sync> VaultStates for F {
    fn of(&self, vault: &VaultEntry) -> VaultState {
        self(vault)
    }
}

/// One vault at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaultState {
    /// How changes are found; empty before the first check.
    pub poll_mode: String,
    /// When everything cached of it was last confirmed.
    pub checked_at: Option<SystemTime>,
    /// Why the last check did not end.
    pub last_error: Option<String>,
    /// `closed`, `open` or `probing`.
    pub breaker: &'static str,
    /// When it may be asked again, where not now.
    pub retry_at: Option<SystemTime>,
    /// Requests that the budget allows now.
    pub budget_left: u64,
    /// And at most.
    pub budget: u64,
    /// Objects cached of it.
    pub objects: u64,
    /// Of these, what it could not confirm in time.
    pub stale_objects: u64,
}

impl VaultState {
    pub(super) fn shown(self, vault: &VaultEntry) -> v1::Vault {
        v1::Vault {
            name: vault.declared_as.clone(),
            origin: vault.origin.to_string(),
            poll_mode: self.poll_mode,
            checked_at: self.checked_at.map(timestamp),
            last_error: self.last_error.as_deref().map(clipped).unwrap_or_default(),
            breaker: self.breaker.to_owned(),
            retry_at: self.retry_at.map(timestamp),
            budget_left: self.budget_left,
            budget: self.budget,
            objects: self.objects,
            stale_objects: self.stale_objects,
            ..v1::Vault::default()
        }
    }
}
