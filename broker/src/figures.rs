//! How each open vault is doing at this moment: for the status and for metrics.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    cache::{Freshness, ObjectCache},
    policy::VaultId,
    readers::{OpenVault, Readers},
};

/// What is held of one vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Objects.
    pub objects: u64,
    /// Of these, what the vault could not confirm in time.
    pub stale_objects: u64,
    /// For how long the stalest of them should have been confirmed.
    pub stalest: Duration,
}

/// An open vault and what is held of it.
pub struct Figures {
    /// The vault, with its gate and its progress.
    pub vault: Arc<OpenVault>,
    /// What is held.
    pub held: Held,
}

/// Every open vault. Looks at each entry once.
pub fn all(readers: &Readers, cache: &ObjectCache, now: Instant) -> HashMap<Arc<VaultId>, Figures> {
    let open = readers.all().into_iter();
    let mut figures: HashMap<_, _> =
        open.map(|vault| (Arc::clone(vault.id()), Figures { vault, held: Held::default() })).collect();
    for (key, entry) in cache.entries() {
        let Some(Figures { vault, held }) = figures.get_mut(&key.vault) else { continue };
        held.objects += 1;
        let settings = vault.settings();
        if entry.freshness(&settings, now) != Freshness::Fresh {
            held.stale_objects += 1;
            held.stalest = held.stalest.max(entry.age(now).saturating_sub(settings.fresh_for()));
        }
    }
    figures
}
