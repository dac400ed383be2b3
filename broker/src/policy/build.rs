//! From manifests in the order they were read to a snapshot of them all. Pure.

use std::{collections::HashSet, sync::Arc};

use keyward_crds::{AzureKeyVaultSecretSpec, akvs, meta::ObjectMeta};
use keyward_types::VaultName;

use super::{
    Defaults, Namespaces, Parts, Problem, RefusedSecret, SecretEntry, Secrets, Snapshot, Vaults,
    vaults::{Declaration, Refused},
};
use crate::manifests::{Invalid, Located, Manifest, Subject};

#[derive(Default)]
struct Building {
    secrets: Secrets,
    vault_names: HashSet<VaultName>,
    declarations: Vec<Declaration>,
    namespaces: Namespaces,
    problems: Vec<Problem>,
    /// Something could not even be read as a declaration.
    doubtful: bool,
}

pub(super) fn build(defaults: Defaults, results: Vec<Result<Located<Manifest>, Invalid>>) -> Snapshot {
    let mut building = Building::default();
    for result in results {
        match result {
            Ok(Located { place, item: Manifest::Secret(meta, spec) }) => building.secret(place, &meta, *spec),
            Ok(Located { place, item: Manifest::Vault(meta, spec) }) => {
                let created = meta.creation_timestamp;
                building.declarations.push(Declaration::new(place, &meta.name, created, &spec, &defaults));
            }
            Ok(Located { item: Manifest::Namespace(meta), .. }) => {
                building.namespaces.entry(meta.name).or_insert(meta.labels);
            }
            Err(invalid) => building.invalid(invalid),
        }
    }
    let (mut vaults, standings) = Vaults::decide(&building.declarations);
    if building.doubtful {
        vaults.doubt();
    }
    building.problems.extend(standings.iter().filter_map(|(declaration, standing)| declaration.problem(standing)));
    let parts = Parts {
        secrets: building.secrets,
        vault_names: Arc::new(building.vault_names),
        vaults: Arc::new(vaults),
        namespaces: Arc::new(building.namespaces),
        problems: building.problems.into(),
    };
    Snapshot::of(parts, defaults)
}

impl Building {
    fn secret(&mut self, place: String, meta: &ObjectMeta, spec: AzureKeyVaultSecretSpec) {
        let namespace = self.secrets.namespace(meta.namespace.as_deref().unwrap_or_default());
        let object = format!("{}/{namespace}/{}", akvs::KIND, meta.name);
        if self.secrets.get(&namespace, &meta.name).is_some() {
            let reason = "another manifest read earlier has this name; remove one".to_owned();
            self.problems.push(Problem { place, object, reason });
            return;
        }
        let entry = SecretEntry::new(&namespace, meta, spec).map_err(|error| error.to_string());
        let entry = entry.map(|entry| Arc::new(SecretEntry { vault: self.vault_name(entry.vault), ..entry }));
        if let Err(reason) = &entry {
            self.problems.push(Problem { place, object, reason: reason.clone() });
        }
        let name = entry.as_ref().map_or_else(|_| meta.name.as_str().into(), |entry| Arc::clone(&entry.name));
        let refused = |reason| Arc::new(RefusedSecret { uid: meta.uid.clone(), generation: meta.generation, reason });
        self.secrets.insert(&namespace, name, entry.map_err(refused));
    }

    /// The one copy of a vault's name.
    fn vault_name(&mut self, name: VaultName) -> VaultName {
        if let Some(known) = self.vault_names.get(&name) {
            return known.clone();
        }
        self.vault_names.insert(name.clone());
        name
    }

    fn invalid(&mut self, invalid: Invalid) {
        let Invalid { place, subject, reason } = invalid;
        let object = subject.to_string();
        match subject {
            Subject::Secret { namespace, name, uid, generation } => {
                let namespace = self.secrets.namespace(&namespace);
                if self.secrets.get(&namespace, &name).is_none() {
                    let refused = RefusedSecret { uid, generation, reason: format!("{place}: {reason}") };
                    self.secrets.insert(&namespace, name.as_str().into(), Err(Arc::new(refused)));
                }
            }
            Subject::Vault { name, vault_name } => {
                // Its problem is told with those of the other declarations.
                let entry = Err(Refused { vault_name, reason });
                self.declarations.push(Declaration { place, name, created: None, entry });
                return;
            }
            // It might have been about any vault.
            Subject::Unknown => self.doubtful = true,
        }
        self.problems.push(Problem { place, object, reason });
    }
}
