//! What the manifests say, as one immutable [`Snapshot`]: which secrets exist, which vault each is in, who may read.
//!
//! Pure: a [`crate::source`] reads manifests and builds a snapshot; everyone else only looks at it. Whatever cannot be
//! understood is kept as a refusal with its reason, so that it fails closed and can be shown, and never hides another.

pub mod durations;
pub mod identity;
pub mod secret;
#[cfg(test)]
pub(crate) mod testing;
pub mod vault;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use keyward_crds::azure_key_vault::Cloud;
use keyward_types::VaultName;

use crate::{
    manifests::{Invalid, Located, Manifest, Subject},
    vault::{cloud::dns_suffix, origin::Origin},
};

pub use identity::IdentityChoice;
pub use secret::SecretEntry;
pub use vault::{Declared, VaultEntry, VaultId};

/// What holds for a vault that no `AzureKeyVault` declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DefaultAccess {
    /// Nobody may read it.
    Deny,
    /// Every namespace may read every object of it, as with akv2k8s.
    Allow,
}

/// The broker's own settings that a snapshot depends on.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// For undeclared vaults.
    pub access: DefaultAccess,
    /// Where a vault is when its declaration names neither cloud nor URL.
    pub cloud: Cloud,
    /// What follows a vault's name in the host of a custom cloud, where there is one.
    pub custom_suffix: Option<Arc<str>>,
    /// How often what is cached is compared with its vault where the declaration does not say.
    pub poll_interval: Duration,
    /// How long what is cached is served while its vault does not answer, where the declaration does not say.
    pub max_stale: Duration,
    /// Requests to one vault in any ten seconds, where the declaration does not say.
    pub budget: u32,
}

impl Defaults {
    /// What follows a vault's name in that cloud.
    pub fn suffix(&self, cloud: Cloud) -> Option<&str> {
        dns_suffix(cloud).or(self.custom_suffix.as_deref())
    }
}

/// A secret that holds, or why it does not.
type Secret = Result<Arc<SecretEntry>, String>;

/// Everything the manifests say at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// By namespace, then by name.
    secrets: HashMap<Arc<str>, HashMap<Arc<str>, Secret>>,
    /// Every vault that one of them names.
    vault_names: HashSet<VaultName>,
    vaults: BTreeMap<VaultName, Declared>,
    namespaces: HashMap<String, BTreeMap<String, String>>,
    problems: Vec<Problem>,
    defaults: Defaults,
}

/// A manifest that does not hold, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File and document number.
    pub place: String,
    /// Kind, namespace and name.
    pub object: String,
    /// What is wrong and what to do.
    pub reason: String,
}

impl Snapshot {
    /// Builds a snapshot from everything that was read. The order of `results` decides between duplicates of one name:
    /// the first holds.
    pub fn build(defaults: Defaults, results: Vec<Result<Located<Manifest>, Invalid>>) -> Self {
        let mut snapshot = Self {
            secrets: HashMap::new(),
            vault_names: HashSet::new(),
            vaults: BTreeMap::new(),
            namespaces: HashMap::new(),
            problems: Vec::new(),
            defaults,
        };
        let (mut declarations, mut refused) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(Located { place, item: Manifest::Secret(meta, spec) }) => snapshot.add_secret(place, &meta, *spec),
                Ok(Located { place, item: Manifest::Vault(meta, spec) }) => declarations.push((place, meta, spec)),
                Ok(Located { item: Manifest::Namespace(meta), .. }) => {
                    snapshot.namespaces.entry(meta.name).or_insert(meta.labels);
                }
                Err(invalid) => snapshot.add_invalid(invalid, &mut refused),
            }
        }
        // RFC 3339 in UTC, as the API server writes it, sorts as text; files have none and keep their order.
        declarations.sort_by(|(_, one, _), (_, other, _)| one.creation_timestamp.cmp(&other.creation_timestamp));
        let mut origins = HashSet::new();
        for (place, meta, spec) in declarations {
            snapshot.add_vault(place, &meta.name, &spec, &mut origins, &mut refused);
        }
        snapshot.close(refused);
        snapshot
    }

    /// The secret `name` of `namespace`; `Some(Err)` is one whose manifest is invalid, with the reason.
    pub fn secret(&self, namespace: &str, name: &str) -> Option<&Secret> {
        self.secrets.get(namespace)?.get(name)
    }

    /// Every secret that holds.
    pub fn secrets(&self) -> impl Iterator<Item = &Arc<SecretEntry>> {
        self.secrets.values().flat_map(HashMap::values).filter_map(|entry| entry.as_ref().ok())
    }

    /// Every vault that a secret names.
    pub fn vault_names(&self) -> impl Iterator<Item = &VaultName> {
        self.vault_names.iter()
    }

    /// What is declared of the vault `name`.
    pub fn vault(&self, name: &VaultName) -> Option<&Declared> {
        self.vaults.get(name)
    }

    /// The valid declaration of `origin`, under whichever name.
    pub fn vault_at(&self, origin: &Origin) -> Option<&Arc<VaultEntry>> {
        self.vaults.values().find_map(|declared| match declared {
            Declared::Valid(entry) if entry.origin == *origin => Some(entry),
            _ => None,
        })
    }

    /// Every vault that a declaration names, by name.
    pub fn vaults(&self) -> impl Iterator<Item = (&VaultName, &Declared)> {
        self.vaults.iter()
    }

    /// The labels of `namespace`; none where it is not known.
    pub fn namespace_labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        self.namespaces.get(namespace)
    }

    /// The broker's own settings.
    pub fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// Every manifest that does not hold.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn add_secret(
        &mut self,
        place: String,
        meta: &keyward_crds::meta::ObjectMeta,
        spec: keyward_crds::AzureKeyVaultSecretSpec,
    ) {
        let namespace = self.namespace(meta.namespace.as_deref().unwrap_or_default());
        let object = format!("{}/{namespace}/{}", keyward_crds::akvs::KIND, meta.name);
        if self.secret(&namespace, &meta.name).is_some() {
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
        self.secrets.entry(namespace).or_default().insert(name, entry);
    }

    /// The one copy of a vault's name.
    fn vault_name(&mut self, name: VaultName) -> VaultName {
        if let Some(known) = self.vault_names.get(&name) {
            return known.clone();
        }
        self.vault_names.insert(name.clone());
        name
    }

    /// The one copy of a namespace's name: thousands of secrets share it.
    fn namespace(&self, name: &str) -> Arc<str> {
        self.secrets.get_key_value(name).map_or_else(|| name.into(), |(known, _)| Arc::clone(known))
    }

    fn add_vault(
        &mut self,
        place: String,
        name: &str,
        spec: &keyward_crds::AzureKeyVaultSpec,
        origins: &mut HashSet<Origin>,
        refused: &mut Vec<Refused>,
    ) {
        let object = format!("{}/{name}", keyward_crds::azure_key_vault::KIND);
        let reason = match VaultEntry::new(name, spec, &self.defaults) {
            Ok(entry) if self.vaults.contains_key(&entry.name) => {
                format!("Conflict: another AzureKeyVault already declares vault `{}`; the older holds", entry.name)
            }
            Ok(entry) if !origins.insert(entry.origin.clone()) => {
                format!("Conflict: another AzureKeyVault already declares {}; the older holds", entry.origin)
            }
            Ok(entry) => {
                self.vaults.insert(entry.name.clone(), Declared::Valid(Arc::new(entry)));
                return;
            }
            Err(error) => {
                refused.push(Refused { vault_name: Some(spec.vault_name.clone()), reason: error.to_string() });
                error.to_string()
            }
        };
        self.problems.push(Problem { place, object, reason });
    }

    fn add_invalid(&mut self, invalid: Invalid, refused: &mut Vec<Refused>) {
        match &invalid.subject {
            Subject::Secret { namespace, name } => {
                self.secrets
                    .entry(self.namespace(namespace))
                    .or_default()
                    .entry(name.as_str().into())
                    .or_insert_with(|| Err(format!("{}: {}", invalid.place, invalid.reason)));
            }
            Subject::Vault { vault_name, .. } => {
                refused.push(Refused { vault_name: vault_name.clone(), reason: invalid.reason.clone() });
            }
            // It might have been about any vault.
            Subject::Unknown => refused.push(Refused { vault_name: None, reason: invalid.reason.clone() }),
        }
        self.problems.push(Problem {
            place: invalid.place,
            object: invalid.subject.to_string(),
            reason: invalid.reason,
        });
    }

    /// What cannot be understood might restrict a vault, by its name or by a URL that nobody could read. So its own vault
    /// is closed, unless a valid declaration decides, and nothing undeclared is open while it stands.
    fn close(&mut self, refused: Vec<Refused>) {
        for Refused { vault_name, reason } in refused {
            self.defaults.access = DefaultAccess::Deny;
            if let Some(Ok(name)) = vault_name.as_deref().map(VaultName::new) {
                self.vaults.entry(name).or_insert_with(|| Declared::Invalid(reason));
            }
        }
    }
}

/// A declaration that does not hold, or might be one.
struct Refused {
    vault_name: Option<String>,
    reason: String,
}

#[cfg(test)]
mod tests;
