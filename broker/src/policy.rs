//! What the manifests say, as one immutable [`Snapshot`]: which secrets exist, which vault each is in, who may read.
//!
//! Pure: a [`crate::source`] reads manifests and builds a snapshot; everyone else only looks at it. Whatever cannot be
//! understood is kept as a refusal with its reason, so that it fails closed and can be shown, and never hides another.

mod budget;
mod build;
mod current;
pub mod durations;
pub mod identity;
pub mod secret;
mod secrets;
#[cfg(test)]
pub(crate) mod testing;
pub mod vault;
pub mod vaults;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use keyward_crds::azure_key_vault::Cloud;
use keyward_types::VaultName;

use crate::{
    manifests::{Invalid, Located, Manifest},
    vault::{cloud::dns_suffix, origin::Origin},
};

pub use current::Current;
pub use identity::IdentityChoice;
pub use secret::{RefusedSecret, Secret, SecretEntry};
pub use secrets::Secrets;
pub use vault::{Declared, VaultEntry, VaultId};
pub use vaults::Vaults;

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

/// Everything the manifests say at one moment. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    complete: bool,
    secrets: Secrets,
    /// Every vault that one of them names.
    vault_names: Arc<HashSet<VaultName>>,
    vaults: Arc<Vaults>,
    namespaces: Arc<Namespaces>,
    problems: Arc<[Problem]>,
    defaults: Defaults,
}

/// Labels by namespace.
pub type Namespaces = HashMap<String, BTreeMap<String, String>>;

/// What a snapshot is made of.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The secrets.
    pub secrets: Secrets,
    /// Every vault that one of them names.
    pub vault_names: Arc<HashSet<VaultName>>,
    /// What is declared.
    pub vaults: Arc<Vaults>,
    /// The namespaces.
    pub namespaces: Arc<Namespaces>,
    /// What does not hold.
    pub problems: Arc<[Problem]>,
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
    /// What `parts` say together.
    pub fn of(parts: Parts, mut defaults: Defaults) -> Self {
        let Parts { secrets, vault_names, vaults, namespaces, problems } = parts;
        if vaults.is_doubtful() {
            defaults.access = DefaultAccess::Deny;
        }
        Self { complete: true, secrets, vault_names, vaults, namespaces, problems, defaults }
    }

    /// Nothing has been read yet. Nobody is told that something is not there.
    pub fn unread(defaults: Defaults) -> Self {
        Self { complete: false, ..Self::of(Parts::default(), defaults) }
    }

    /// Builds a snapshot from everything that was read. The order of `results` decides between duplicates of one name:
    /// the first holds.
    pub fn build(defaults: Defaults, results: Vec<Result<Located<Manifest>, Invalid>>) -> Self {
        build::build(defaults, results)
    }

    /// Whether everything was read. Until then nothing can be decided.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The secret `name` of `namespace`; `Some(Err)` is one whose manifest is invalid, with the reason.
    pub fn secret(&self, namespace: &str, name: &str) -> Option<&Secret> {
        self.secrets.get(namespace, name)
    }

    /// Every secret that holds.
    pub fn secrets(&self) -> impl Iterator<Item = &Arc<SecretEntry>> {
        self.secrets.iter().filter_map(|(_, _, entry)| entry.as_ref().ok())
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
        self.vaults.iter().find_map(|(_, declared)| match declared {
            Declared::Valid(entry) if entry.origin == *origin => Some(entry),
            _ => None,
        })
    }

    /// Every vault that a declaration names, by name.
    pub fn vaults(&self) -> impl Iterator<Item = (&VaultName, &Declared)> {
        self.vaults.iter()
    }

    /// Every vault that may be read: those declared, and where all may, those that are only named.
    pub fn usable_vaults(&self) -> impl Iterator<Item = Arc<VaultEntry>> + '_ {
        let declared = self.vaults().filter_map(|(_, declared)| match declared {
            Declared::Valid(entry) => Some(Arc::clone(entry)),
            Declared::Invalid(_) => None,
        });
        let open_to_all = self.defaults.access == DefaultAccess::Allow;
        let undeclared = self
            .vault_names()
            .filter(move |name| open_to_all && self.vault(name).is_none())
            .map(|name| Arc::new(VaultEntry::undeclared(name, &self.defaults)))
            // A declared vault wins over an undeclared name for the same one.
            .filter(|vault| self.vault_at(&vault.origin).is_none());
        undeclared.chain(declared)
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
}

#[cfg(test)]
mod tests;
