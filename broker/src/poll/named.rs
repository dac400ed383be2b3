//! A look at objects by name, because of a hint.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt as _, stream};
use keyward_types::ObjectName;

use super::round::{CONCURRENT, Rounds, ends_round};
use crate::{
    budget::Class,
    cache::{Batch, CacheKey, Checked, LoadError},
    readers::OpenVault,
};

impl Rounds {
    /// Reads again what is held of these names, or was refused, and swaps in whatever was found. The error is the last one,
    /// and what had it stays as it was.
    pub(super) async fn look_at(&self, vault: &Arc<OpenVault>, names: &BTreeSet<ObjectName>) -> Result<(), LoadError> {
        let mut reads = stream::iter(self.named(vault, names))
            .map(|key| async move { (self.cache.check(&key, vault, Class::ChangeCheck).await, key) })
            .buffer_unordered(CONCURRENT);
        let (mut changes, mut failed) = (Vec::new(), Ok(()));
        while let Some((outcome, key)) = reads.next().await {
            match outcome {
                Ok(Checked::Same) => {}
                Ok(Checked::Changed(found)) => changes.push((key, found)),
                Err(error) => {
                    tracing::warn!(vault = %key.vault.origin, object = %key.object.name, %error, "not looked at again");
                    let over = ends_round(&error);
                    failed = Err(error);
                    if over {
                        break;
                    }
                }
            }
        }
        drop(reads);
        vault.progress().changes += changes.len() as u64;
        self.cache.swap(Batch { vault: Arc::clone(vault.id()), changes }).await;
        failed
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
