//! `AzureKeyVault`s as they come from the API server, and what their status says. Pure.

use std::{collections::BTreeMap, sync::Arc};

use keyward_crds::azure_key_vault;
use kube::runtime::watcher::Event;
use serde_json::Value;

use super::{
    raw::Raw,
    status::{Condition, Verdict},
    table::Table,
};
use crate::{
    manifests,
    policy::{
        Defaults, Problem, Vaults,
        vaults::{Declaration, Refused, Standing},
    },
};

/// Those of the whole cluster.
#[derive(Debug)]
pub(super) struct VaultTable {
    defaults: Defaults,
    table: Table<BTreeMap<String, Known>>,
    decided: Arc<Vaults>,
    problems: Vec<Problem>,
    verdicts: Vec<Verdict>,
    /// A `spec` was read otherwise than before, or came, or went.
    pub(super) changed: bool,
    /// The same, or a `status`.
    pub(super) seen: bool,
}

/// One of them.
#[derive(Clone, Debug)]
struct Known {
    declaration: Declaration,
    /// Only that it is another one is looked at.
    uid: Option<String>,
    generation: i64,
    resource_version: String,
    /// What its status says, and since when.
    condition: Option<(Condition, Option<String>)>,
}

impl VaultTable {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self {
            defaults,
            table: Table::default(),
            decided: Arc::default(),
            problems: Vec::new(),
            verdicts: Vec::new(),
            changed: false,
            seen: false,
        }
    }

    pub(super) fn hear(&mut self, event: Event<Raw>) {
        match event {
            Event::Init => self.table.begin(),
            Event::InitApply(raw) => {
                let (name, known) = self.read(&raw);
                self.table.incoming().insert(name, known);
            }
            Event::InitDone => {
                self.table.end();
                (self.changed, self.seen) = (true, true);
            }
            Event::Apply(raw) => {
                let (name, known) = self.read(&raw);
                let replaced = self.table.held_mut().insert(name.clone(), known);
                let says_the_same = replaced.is_some_and(|before| before.says_as(&self.table.held()[&name]));
                self.changed |= !says_the_same;
                self.seen = true;
            }
            Event::Delete(raw) => {
                self.changed |= self.table.held_mut().remove(&raw.meta().name).is_some();
                self.seen = true;
            }
        }
    }

    pub(super) fn is_synced(&self) -> bool {
        self.table.is_synced()
    }

    /// Decides between all of them, where anything was seen since the last time. Of one age the first by name holds, so
    /// that every replica decides alike.
    pub(super) fn decide(&mut self) {
        if !std::mem::take(&mut self.seen) {
            return;
        }
        let held = self.table.held();
        let (decided, standings) = Vaults::decide(held.values().map(|known| &known.declaration));
        self.problems = standings.iter().filter_map(|(declaration, standing)| declaration.problem(standing)).collect();
        let verdicts =
            standings.iter().filter_map(|(declaration, standing)| held.get(&declaration.name)?.verdict(standing));
        self.verdicts = verdicts.collect();
        if self.changed {
            self.decided = Arc::new(decided);
        }
    }

    pub(super) fn decided(&self) -> Arc<Vaults> {
        Arc::clone(&self.decided)
    }

    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What is to be written into those whose status says something else.
    pub(super) fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    fn read(&self, raw: &Raw) -> (String, Known) {
        let meta = raw.meta();
        let place = format!("{}/{}", azure_key_vault::KIND, meta.name);
        let created = meta.creation_timestamp;
        let declaration = match manifests::vault_spec(raw.spec.as_ref()) {
            Ok(spec) => Declaration::new(place, &meta.name, created, &spec, &self.defaults),
            Err(reason) => {
                let vault_name = raw.spec.as_ref().and_then(|spec| spec.get("vaultName")).and_then(Value::as_str);
                let entry = Err(Refused { vault_name: vault_name.map(str::to_owned), reason });
                Declaration { place, name: meta.name.clone(), created, entry }
            }
        };
        let known = Known {
            declaration,
            uid: meta.uid,
            generation: meta.generation.unwrap_or_default(),
            resource_version: raw.metadata.resource_version.clone().unwrap_or_default(),
            condition: raw.status.as_ref().and_then(Condition::read),
        };
        (meta.name, known)
    }
}

impl Known {
    /// What is to be written, unless it is there already.
    fn verdict(&self, standing: &Standing) -> Option<Verdict> {
        let wanted = Condition::new(standing, self.generation);
        let says = self.condition.as_ref();
        if says.is_some_and(|(condition, _)| *condition == wanted) {
            return None;
        }
        let since = says.and_then(|(condition, since)| since.clone().filter(|_| condition.agrees_with(&wanted)));
        let (name, resource_version) = (self.declaration.name.clone(), self.resource_version.clone());
        Some(Verdict { name, resource_version, wanted, since })
    }

    /// Whether it means the same to policy.
    fn says_as(&self, other: &Self) -> bool {
        let Declaration { entry, created, .. } = &self.declaration;
        (entry, created, &self.uid) == (&other.declaration.entry, &other.declaration.created, &other.uid)
    }
}
