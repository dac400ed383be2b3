//! `AzureKeyVaultSecret`s as they come from the API server: each read once, strictly, and kept as what it means. Pure.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use keyward_crds::akvs;
use keyward_types::VaultName;
use kube::runtime::watcher::Event;

use super::{raw::Raw, table::Table};
use crate::{
    manifests,
    policy::{Problem, RefusedSecret, Secret, SecretEntry, Secrets},
};

/// Those of the whole cluster.
#[derive(Debug, Default)]
pub(super) struct SecretTable {
    table: Table<Secrets>,
    /// Every vault that one of them names, and how many do.
    named: HashMap<VaultName, usize>,
    vault_names: Arc<HashSet<VaultName>>,
    /// Those that the secrets of an unfinished list name.
    incoming_names: HashSet<VaultName>,
    /// What has changed since the last time it was taken.
    pub(super) changed: Changed,
}

/// What has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// A secret.
    pub(super) any: bool,
    /// The set of vaults that they name.
    pub(super) vault_names: bool,
    /// One that does not hold, or did not.
    pub(super) refused: bool,
}

impl SecretTable {
    pub(super) fn hear(&mut self, event: Event<Raw>) {
        match event {
            Event::Init => {
                self.table.begin();
                self.incoming_names.clear();
            }
            Event::InitApply(raw) => {
                let (namespace, name, secret) = self.read(&raw);
                if let Ok(entry) = &secret {
                    self.incoming_names.insert(entry.vault.clone());
                }
                self.table.incoming().insert(&namespace, name, secret);
            }
            Event::InitDone => {
                self.table.end();
                self.count();
            }
            Event::Apply(raw) => self.put(&raw),
            Event::Delete(raw) => {
                let meta = raw.meta();
                let namespace = meta.namespace.unwrap_or_default();
                let removed = self.table.held_mut().remove(&namespace, &meta.name);
                self.note(removed.as_ref(), None);
            }
        }
    }

    pub(super) fn is_synced(&self) -> bool {
        self.table.is_synced()
    }

    pub(super) fn secrets(&self) -> Secrets {
        self.table.held().clone()
    }

    pub(super) fn vault_names(&self) -> Arc<HashSet<VaultName>> {
        Arc::clone(&self.vault_names)
    }

    /// Those that do not hold, for people, in the order of their names.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let refused = self.table.held().iter().filter_map(|(namespace, name, secret)| {
            let reason = secret.as_ref().err()?.reason.clone();
            let object = format!("{}/{namespace}/{name}", akvs::KIND);
            Some(Problem { place: object.clone(), object, reason })
        });
        let mut problems: Vec<_> = refused.collect();
        problems.sort_by(|one, other| one.object.cmp(&other.object));
        problems
    }

    /// What the object means. Where that is what is held already, it is the one that is held.
    fn read(&self, raw: &Raw) -> (Arc<str>, Arc<str>, Secret) {
        let mut meta = raw.meta();
        let held = self.table.held();
        let namespace = self.namespace(&meta.namespace.take().unwrap_or_default());
        let refused = |reason| {
            let (uid, generation) = (meta.uid.clone(), meta.generation);
            Arc::new(RefusedSecret { uid, generation, reason })
        };
        let secret = manifests::secret_spec(raw.spec.as_ref())
            .and_then(|spec| SecretEntry::new(&namespace, &meta, spec).map_err(|error| error.to_string()))
            .map(|entry| Arc::new(SecretEntry { vault: self.one_copy(&entry.vault), ..entry }))
            .map_err(refused);
        let known = held.get(&namespace, &meta.name).filter(|known| **known == secret).cloned();
        let secret = known.unwrap_or(secret);
        let name = secret.as_ref().map_or_else(|_| meta.name.as_str().into(), |entry| Arc::clone(&entry.name));
        (namespace, name, secret)
    }

    /// The one copy of a namespace's name.
    fn namespace(&self, name: &str) -> Arc<str> {
        let incoming = self.table.incoming_so_far().map(|incoming| incoming.namespace(name));
        match (self.table.held().knows(name), incoming) {
            (false, Some(incoming)) => incoming,
            _ => self.table.held().namespace(name),
        }
    }

    fn one_copy(&self, name: &VaultName) -> VaultName {
        let held = self.named.get_key_value(name).map(|(known, _)| known);
        held.or_else(|| self.incoming_names.get(name)).unwrap_or(name).clone()
    }

    fn put(&mut self, raw: &Raw) {
        let (namespace, name, secret) = self.read(raw);
        // A status was written, most likely.
        if self.table.held().get(&namespace, &name) == Some(&secret) {
            return;
        }
        let replaced = self.table.held_mut().insert(&namespace, name, secret.clone());
        self.note(replaced.as_ref(), Some(&secret));
    }

    fn note(&mut self, before: Option<&Secret>, after: Option<&Secret>) {
        let vault = |secret: Option<&Secret>| Some(secret?.as_ref().ok()?.vault.clone());
        let is_refused = |secret: Option<&Secret>| secret.is_some_and(Result::is_err);
        self.changed.any |= before.is_some() || after.is_some();
        self.changed.refused |= is_refused(before) || is_refused(after);
        let (before, after) = (vault(before), vault(after));
        if before == after {
            return;
        }
        if let Some(name) = after {
            let count = self.named.entry(name.clone()).or_default();
            *count += 1;
            if *count == 1 {
                Arc::make_mut(&mut self.vault_names).insert(name);
                self.changed.vault_names = true;
            }
        }
        if let Some(name) = before
            && let Some(count) = self.named.get_mut(&name)
        {
            *count -= 1;
            if *count == 0 {
                self.named.remove(&name);
                Arc::make_mut(&mut self.vault_names).remove(&name);
                self.changed.vault_names = true;
            }
        }
    }

    /// Counts vaults' names anew, for all secrets are.
    fn count(&mut self) {
        self.named.clear();
        self.incoming_names = HashSet::new();
        for (_, _, secret) in self.table.held().iter() {
            if let Ok(entry) = secret {
                *self.named.entry(entry.vault.clone()).or_default() += 1;
            }
        }
        self.vault_names = Arc::new(self.named.keys().cloned().collect());
        self.changed = Changed { any: true, vault_names: true, refused: true };
    }
}
