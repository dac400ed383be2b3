//! Which declaration decides for which vault, when there are several or some do not hold. Pure.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use keyward_crds::{AzureKeyVaultSpec, azure_key_vault};
use keyward_types::VaultName;

use super::{Declared, Defaults, Problem, VaultEntry};
use crate::vault::origin::Origin;

/// One `AzureKeyVault` as it was read.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Where it was read, for people.
    pub place: String,
    /// `metadata.name`
    pub name: String,
    /// `metadata.creationTimestamp`: RFC 3339 in UTC, as the API server writes it, sorts as text. Files have none.
    pub created: Option<String>,
    /// What it says, or why it does not hold.
    pub entry: Result<Arc<VaultEntry>, Refused>,
}

/// Why a declaration does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The vault that it is about, where that could be read.
    pub vault_name: Option<String>,
    /// What is wrong and what to do.
    pub reason: String,
}

/// What became of a declaration among all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It decides for its vault.
    Holds,
    /// An older one decides.
    Conflict(String),
    /// It does not hold.
    Invalid(String),
}

impl Declaration {
    /// Checks a `spec`.
    pub fn new(
        place: String,
        name: &str,
        created: Option<String>,
        spec: &AzureKeyVaultSpec,
        defaults: &Defaults,
    ) -> Self {
        let entry = VaultEntry::new(name, spec, defaults)
            .map(Arc::new)
            .map_err(|error| Refused { vault_name: Some(spec.vault_name.clone()), reason: error.to_string() });
        Self { place, name: name.to_owned(), created, entry }
    }

    /// For people, unless it holds.
    pub fn problem(&self, standing: &Standing) -> Option<Problem> {
        let reason = match standing {
            Standing::Holds => return None,
            Standing::Conflict(reason) | Standing::Invalid(reason) => reason.clone(),
        };
        let object = format!("{}/{}", azure_key_vault::KIND, self.name);
        Some(Problem { place: self.place.clone(), object, reason })
    }
}

/// Every vault of which something is declared.
#[derive(Debug, Default)]
pub struct Vaults {
    by_name: BTreeMap<VaultName, Declared>,
    doubtful: bool,
}

impl Vaults {
    /// Decides between `declarations`: for one vault the older holds, and of the same age the one that comes first.
    ///
    /// What cannot be understood might restrict a vault, by its name or by a URL that nobody could read. So its own vault
    /// is closed, unless a valid declaration decides.
    pub fn decide<'a>(
        declarations: impl IntoIterator<Item = &'a Declaration>,
    ) -> (Self, Vec<(&'a Declaration, Standing)>) {
        let mut sorted: Vec<&Declaration> = declarations.into_iter().collect();
        sorted.sort_by(|one, other| one.created.cmp(&other.created));
        let (mut vaults, mut origins) = (Self::default(), HashSet::new());
        let standings: Vec<_> = sorted.iter().map(|one| (*one, vaults.admit(one, &mut origins))).collect();
        for refused in sorted.iter().filter_map(|one| one.entry.as_ref().err()) {
            vaults.close(refused);
        }
        (vaults, standings)
    }

    fn admit(&mut self, declaration: &Declaration, origins: &mut HashSet<Origin>) -> Standing {
        match &declaration.entry {
            Ok(entry) if self.by_name.contains_key(&entry.name) => Standing::Conflict(format!(
                "Conflict: another AzureKeyVault already declares vault `{}`; the older holds",
                entry.name
            )),
            Ok(entry) if !origins.insert(entry.origin.clone()) => Standing::Conflict(format!(
                "Conflict: another AzureKeyVault already declares {}; the older holds",
                entry.origin
            )),
            Ok(entry) => {
                self.by_name.insert(entry.name.clone(), Declared::Valid(Arc::clone(entry)));
                Standing::Holds
            }
            Err(refused) => Standing::Invalid(refused.reason.clone()),
        }
    }

    fn close(&mut self, Refused { vault_name, reason }: &Refused) {
        self.doubt();
        if let Some(Ok(name)) = vault_name.as_deref().map(VaultName::new) {
            self.by_name.entry(name).or_insert_with(|| Declared::Invalid(reason.clone()));
        }
    }

    /// Something stands that might be about any vault.
    pub fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// Whether something stands that might be about any vault: then nothing undeclared may be open.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// What is declared of the vault `name`.
    pub fn get(&self, name: &VaultName) -> Option<&Declared> {
        self.by_name.get(name)
    }

    /// Every vault, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&VaultName, &Declared)> {
        self.by_name.iter()
    }
}
