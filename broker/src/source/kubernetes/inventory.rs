//! Everything the watches have told, and the snapshot it makes. Pure: events in, snapshots out.
//!
//! What is kept is what objects mean, each parsed once; the objects themselves are not. A snapshot shares all of it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{core::PartialObjectMeta, runtime::watcher::Event};

use super::{
    raw::Raw,
    secrets::{Changed, SecretTable},
    status::Verdict,
    table::Table,
    vaults::VaultTable,
};
use crate::policy::{Defaults, Namespaces, Parts, Problem, Snapshot};

/// One event of one of the watches.
#[derive(Debug)]
pub enum Heard {
    /// Of `AzureKeyVaultSecret`s.
    Secret(Event<Raw>),
    /// Of `AzureKeyVault`s.
    Vault(Event<Raw>),
    /// Of namespaces.
    Namespace(Event<PartialObjectMeta<Namespace>>),
}

impl Heard {
    /// Whether it says only that a list is about to be asked for.
    pub fn is_only_a_beginning(&self) -> bool {
        matches!(self, Self::Secret(Event::Init) | Self::Vault(Event::Init) | Self::Namespace(Event::Init))
    }
}

/// What is known.
#[derive(Debug)]
pub struct Inventory {
    defaults: Defaults,
    secrets: SecretTable,
    vaults: VaultTable,
    namespaces: Table<Arc<Namespaces>>,
    namespaces_changed: bool,
    problems: Arc<[Problem]>,
}

/// A snapshot, and in what it differs from the one before.
#[derive(Debug)]
pub struct Published {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Declarations or namespaces' labels: who may read what.
    pub policy: bool,
    /// Which vaults there are a use for.
    pub vaults: bool,
    /// What does not hold and did before, or was not there.
    pub problems: Vec<Problem>,
}

impl Inventory {
    /// Nothing is known.
    pub fn new(defaults: Defaults) -> Self {
        Self {
            vaults: VaultTable::new(defaults.clone()),
            defaults,
            secrets: SecretTable::default(),
            namespaces: Table::default(),
            namespaces_changed: false,
            problems: Arc::default(),
        }
    }

    /// Takes an event in.
    pub fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Secret(event) => self.secrets.hear(event),
            Heard::Vault(event) => self.vaults.hear(event),
            Heard::Namespace(event) => self.namespace(event),
        }
    }

    /// Whether each kind was listed completely.
    pub fn is_synced(&self) -> bool {
        self.secrets.is_synced() && self.vaults.is_synced() && self.namespaces.is_synced()
    }

    /// Whether there is something to publish, or to write.
    pub fn has_news(&self) -> bool {
        self.is_synced() && (self.secrets.changed != Changed::default() || self.vaults.seen || self.namespaces_changed)
    }

    /// What is known now, where that is something else than the last time.
    pub fn publish(&mut self) -> Option<Published> {
        if !self.is_synced() {
            return None;
        }
        self.vaults.decide();
        let secrets = std::mem::take(&mut self.secrets.changed);
        let vaults = std::mem::take(&mut self.vaults.changed);
        let namespaces = std::mem::take(&mut self.namespaces_changed);
        if !(secrets.any || vaults || namespaces) {
            return None;
        }
        let problems = if secrets.refused || vaults { self.note_problems() } else { Vec::new() };
        let parts = Parts {
            secrets: self.secrets.secrets(),
            vault_names: self.secrets.vault_names(),
            vaults: self.vaults.decided(),
            namespaces: Arc::clone(self.namespaces.held()),
            problems: Arc::clone(&self.problems),
        };
        let snapshot = Snapshot::of(parts, self.defaults.clone());
        Some(Published { snapshot, policy: vaults || namespaces, vaults: vaults || secrets.vault_names, problems })
    }

    /// What is to be written into `AzureKeyVault`s whose status says something else.
    pub fn verdicts(&self) -> &[Verdict] {
        self.vaults.verdicts()
    }

    /// Takes stock of what does not hold, and returns what is new of it.
    fn note_problems(&mut self) -> Vec<Problem> {
        let now: Arc<[Problem]> = self.vaults.problems().iter().cloned().chain(self.secrets.problems()).collect();
        let known: HashSet<(&str, &str)> =
            self.problems.iter().map(|one| (one.object.as_str(), one.reason.as_str())).collect();
        let new = now.iter().filter(|one| !known.contains(&(one.object.as_str(), one.reason.as_str())));
        let new = new.cloned().collect();
        self.problems = now;
        new
    }

    fn namespace(&mut self, event: Event<PartialObjectMeta<Namespace>>) {
        match event {
            Event::Init => self.namespaces.begin(),
            Event::InitApply(object) => {
                let (name, labels) = labels(object);
                Arc::make_mut(self.namespaces.incoming()).insert(name, labels);
            }
            Event::InitDone => {
                self.namespaces.end();
                self.namespaces_changed = true;
            }
            Event::Apply(object) => {
                let (name, labels) = labels(object);
                if self.namespaces.held().get(&name) != Some(&labels) {
                    Arc::make_mut(self.namespaces.held_mut()).insert(name, labels);
                    self.namespaces_changed = true;
                }
            }
            Event::Delete(object) => {
                let (name, _) = labels(object);
                self.namespaces_changed |= Arc::make_mut(self.namespaces.held_mut()).remove(&name).is_some();
            }
        }
    }
}

fn labels(object: PartialObjectMeta<Namespace>) -> (String, BTreeMap<String, String>) {
    (object.metadata.name.unwrap_or_default(), object.metadata.labels.unwrap_or_default())
}

#[cfg(test)]
mod tests;
