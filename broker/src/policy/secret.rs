//! One `AzureKeyVaultSecret`, its names checked.

use std::sync::Arc;

use keyward_crds::{
    AzureKeyVaultSecretSpec,
    akvs::{ContentType, ObjectType},
    meta::ObjectMeta,
};
use keyward_types::{InvalidName, ObjectKind, ObjectName, ObjectVersion, VaultName};

use crate::{object::ObjectId, render::Rendering};

/// A secret that holds, or why it does not.
pub type Secret = Result<Arc<SecretEntry>, Arc<RefusedSecret>>;

/// A secret that does not hold. What it is at is kept: an invalid generation must not be taken for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedSecret {
    /// `metadata.uid`; files have none.
    pub uid: Option<String>,
    /// `metadata.generation`; files have none.
    pub generation: Option<i64>,
    /// What is wrong and what to do.
    pub reason: String,
}

/// A secret that holds.
#[derive(Debug, PartialEq, Eq)]
pub struct SecretEntry {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// `metadata.uid`; files have none.
    pub uid: Option<String>,
    /// `metadata.generation`; files have none.
    pub generation: Option<i64>,
    /// The vault it names.
    pub vault: VaultName,
    /// The object it names.
    pub object: Arc<ObjectId>,
    /// What becomes of the object.
    pub rendering: Rendering,
}

/// Why an `AzureKeyVaultSecret` does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// `spec.vault.name`, `spec.vault.object.name` or `spec.vault.object.version`.
    #[error("{field}: {source}")]
    Name {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        source: InvalidName,
    },
    /// A map without the word on how it is written.
    #[error(
        "spec.vault.object.contentType is missing: a multi-key-value-secret needs application/x-json or application/x-yaml"
    )]
    NoContentType,
}

impl SecretEntry {
    /// Checks every name once, so that nobody has to later.
    pub fn new(namespace: &Arc<str>, meta: &ObjectMeta, spec: AzureKeyVaultSecretSpec) -> Result<Self, InvalidSecret> {
        let named = |field| move |source| InvalidSecret::Name { field, source };
        let object = &spec.vault.object;
        let version = object.version.as_deref().filter(|version| !version.is_empty());
        let id = ObjectId {
            kind: kind_of(object.object_type),
            name: ObjectName::new(&object.name).map_err(named("spec.vault.object.name"))?,
            version: version.map(ObjectVersion::new).transpose().map_err(named("spec.vault.object.version"))?,
        };
        let content_type: Option<ContentType> = object.content_type;
        if object.object_type == ObjectType::MultiKeyValueSecret && content_type.is_none() {
            return Err(InvalidSecret::NoContentType);
        }
        Ok(Self {
            namespace: Arc::clone(namespace),
            name: meta.name.as_str().into(),
            uid: meta.uid.clone(),
            generation: meta.generation,
            vault: VaultName::new(&spec.vault.name).map_err(named("spec.vault.name"))?,
            object: Arc::new(id),
            rendering: spec.into(),
        })
    }

    /// How people and errors name it.
    pub fn shown(&self) -> String {
        format!("AzureKeyVaultSecret {}/{}", self.namespace, self.name)
    }
}

fn kind_of(object_type: ObjectType) -> ObjectKind {
    match object_type {
        ObjectType::Secret | ObjectType::MultiKeyValueSecret => ObjectKind::Secret,
        ObjectType::Certificate => ObjectKind::Certificate,
        ObjectType::Key => ObjectKind::Key,
    }
}
