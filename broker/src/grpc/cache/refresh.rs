//! `Cache/Refresh`: which vault is meant, and what was done. Pure.

use keyward_proto::v1::{RefreshResponse, RefreshedVault};
use keyward_types::VaultName;
use tonic::{Code, Status};

use super::page::clipped;
use crate::{
    grpc::errors,
    policy::{Declared, DefaultAccess, Snapshot, VaultEntry},
    poll::Refreshed,
    vault::origin::Origin,
};

/// The vault that `text` means, by its name, its declaration's or its origin; `None` for all.
pub(super) fn named(snapshot: &Snapshot, text: &str) -> Result<Option<Origin>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let by_name = VaultName::new(text).ok().and_then(|name| of_name(snapshot, &name));
    let by_declaration = || {
        snapshot.vaults().find_map(|(_, declared)| match declared {
            Declared::Valid(entry) if entry.declared_as == text => Some(Ok(entry.origin.clone())),
            _ => None,
        })
    };
    let by_origin = || {
        let origin = Origin::parse(text).ok()?;
        snapshot.vault_at(&origin).map(|entry| Ok(entry.origin.clone()))
    };
    by_name.or_else(by_declaration).or_else(by_origin).unwrap_or_else(|| Err(unknown(text))).map(Some)
}

fn of_name(snapshot: &Snapshot, name: &VaultName) -> Option<Result<Origin, Status>> {
    match snapshot.vault(name) {
        Some(Declared::Valid(entry)) => Some(Ok(entry.origin.clone())),
        Some(Declared::Invalid(reason)) => {
            let message = format!("the AzureKeyVault of vault `{name}` is invalid: {}", clipped(reason));
            Some(Err(errors::refusal(Code::FailedPrecondition, "VAULT_DECLARATION_INVALID", message)))
        }
        None if snapshot.defaults().access == DefaultAccess::Allow => {
            let used = snapshot.secrets().any(|secret| secret.vault == *name);
            used.then(|| Ok(VaultEntry::undeclared(name, snapshot.defaults()).origin))
        }
        None => None,
    }
}

fn unknown(text: &str) -> Status {
    let shown: String = text.chars().take(256).flat_map(char::escape_debug).collect();
    errors::refusal(Code::NotFound, "VAULT_UNKNOWN", format!("no AzureKeyVault declares a vault `{shown}`"))
}

pub(super) fn all_shown(mut refreshed: Vec<Refreshed>) -> RefreshResponse {
    refreshed.sort_by(|one, other| one.vault.cmp(&other.vault));
    RefreshResponse { vaults: refreshed.iter().map(shown).collect() }
}

/// What the check of one vault did.
pub(crate) fn shown(refreshed: &Refreshed) -> RefreshedVault {
    RefreshedVault {
        vault: refreshed.vault.to_string(),
        checked: refreshed.checked,
        changed: refreshed.changed,
        error: refreshed.error.as_deref().map(clipped).unwrap_or_default(),
    }
}
