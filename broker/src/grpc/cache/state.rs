//! A vault as a status shows it.

use std::time::SystemTime;

use keyward_proto::v1;

use super::page::clipped;
use crate::{
    figures::Figures,
    grpc::{milliseconds, timestamp},
    policy::VaultEntry,
};

/// What is declared of a vault, and how it is doing if it is open.
pub(super) fn shown(vault: &VaultEntry, figures: Option<&Figures>, now: SystemTime) -> v1::Vault {
    let declared = v1::Vault {
        name: vault.declared_as.clone(),
        origin: vault.origin.to_string(),
        poll_interval_ms: milliseconds(vault.poll_interval),
        max_stale_ms: milliseconds(vault.max_stale),
        ..v1::Vault::default()
    };
    let Some(Figures { vault, held }) = figures else { return declared };
    let (gate, progress) = (vault.gate().status(), vault.progress());
    v1::Vault {
        requests: vault.requests(),
        poll_mode: progress.mode().to_owned(),
        checked_at: progress.checked_at.map(timestamp),
        last_error: progress.last_error.as_deref().map(clipped).unwrap_or_default(),
        breaker: gate.breaker.as_str().to_owned(),
        retry_at: gate.retry_after.map(|wait| timestamp(now + wait)),
        budget_left: gate.left.into(),
        budget: gate.capacity.into(),
        objects: held.objects,
        stale_objects: held.stale_objects,
        ..declared
    }
}
