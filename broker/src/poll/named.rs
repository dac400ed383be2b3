//! A look at objects by name, because of a hint.

use std::{collections::BTreeSet, sync::Arc};

use keyward_types::ObjectName;

use super::round::{Rounds, Tally};
use crate::{
    budget::Class,
    cache::{Batch, CacheKey},
    readers::OpenVault,
};

impl Rounds {
    /// Reads again what is held of these names, or was refused, and swaps in whatever was found. False where not all of it was
    /// answered for; that stays as it was.
    pub(super) async fn look_at(&self, vault: &Arc<OpenVault>, names: &BTreeSet<ObjectName>) -> bool {
        let named = self.named(vault, names).into_iter().map(|key| (key, Class::ChangeCheck)).collect();
        let mut tally = Tally::default();
        self.read_again(vault, named, &mut tally).await;
        let Tally { found, error, .. } = tally;
        if let Some(error) = &error {
            tracing::warn!(vault = %vault.id().origin, error, "not all that hints named could be looked at");
        }
        vault.progress().changes += found.len() as u64;
        self.cache.swap(Batch { vault: Arc::clone(vault.id()), changes: found }).await;
        error.is_none()
    }

    /// What is known under these names. A pinned version never becomes another.
    fn named(&self, vault: &OpenVault, names: &BTreeSet<ObjectName>) -> BTreeSet<Arc<CacheKey>> {
        let held = self.cache.entries().map(|(key, _)| key);
        let refused = self.cache.refused().into_iter().map(|(key, _)| key);
        let is_named = |key: &Arc<CacheKey>| {
            key.object.version.is_none() && names.contains(&key.object.name) && key.vault == *vault.id()
        };
        held.chain(refused).filter(is_named).collect()
    }
}
