//! A look at objects by name, because of a hint.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt as _, stream};
use keyward_types::ObjectName;

use super::round::{CONCURRENT, Rounds, ends_round};
use crate::{
    budget::Class,
    cache::{CacheKey, Checked, LoadError},
    changes::Change,
    readers::OpenVault,
};

impl Rounds {
    /// Reads again what is held of these names, or was refused. The error is the last one, and what had it stays as it was.
    pub(super) async fn look_at(&self, vault: &Arc<OpenVault>, names: &BTreeSet<ObjectName>) -> Result<u64, LoadError> {
        let mut reads = stream::iter(self.named(vault, names))
            .map(|key| async move { (self.cache.check(&key, vault, Class::ChangeCheck).await, key) })
            .buffer_unordered(CONCURRENT);
        let (mut changed, mut failed) = (0, None);
        while let Some((outcome, key)) = reads.next().await {
            match outcome {
                Ok(Checked::Same) => {}
                Ok(Checked::Changed) => {
                    changed += 1;
                    self.changes.tell(Change::Object(key));
                }
                Err(error) => {
                    tracing::warn!(vault = %key.vault.origin, object = %key.object.name, %error, "not looked at again");
                    let over = ends_round(&error);
                    failed = Some(error);
                    if over {
                        break;
                    }
                }
            }
        }
        vault.progress().changes += changed;
        failed.map_or(Ok(changed), Err)
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
