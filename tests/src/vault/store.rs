//! Changing a vault's objects without its REST API: for the objects file, and for tests in the same process.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};

use super::attributes::{AttributesPatch, Tags, VersionPatch};
use super::certificates;
use super::config::{CertificateSeed, KeySeed, SecretSeed, VaultSeed};
use super::keymaker::KeySpec;
use super::keys;
use super::lock::lock;
use super::material::Material;
use super::names::{Collection, is_object_name};
use super::policy::{EMULATOR, Policy};
use super::shelves::{Dress, SecretBody, Shelves};
use super::world::{Vault, World};

/// One vault's objects.
#[derive(Clone)]
pub struct Store {
    world: Arc<World>,
    vault: Arc<Vault>,
}

/// An object could not be changed.
#[derive(Debug, thiserror::Error)]
#[error("vault {vault}, {noun} {name}: {reason}")]
pub struct StoreError {
    vault: String,
    noun: &'static str,
    name: String,
    reason: String,
}

impl Store {
    pub(super) fn new(world: Arc<World>, vault: Arc<Vault>) -> Self {
        Self { world, vault }
    }

    /// Adds a version with this value; its id.
    pub fn set_secret(&self, name: &str, value: &str) -> Result<String, StoreError> {
        self.put_secret(name, &SecretSeed::of(value))
    }

    /// Adds the earlier versions, then the current one; the last one's id.
    pub fn put_secret(&self, name: &str, seed: &SecretSeed) -> Result<String, StoreError> {
        let mut last = None;
        for seed in &seed.versions {
            last = Some(self.put_secret(name, seed)?);
        }
        let Some(value) = seed.value.clone() else {
            return last.ok_or_else(|| self.error(Collection::Secrets, name, &"it has neither value nor versions"));
        };
        let attributes = AttributesPatch { enabled: seed.enabled, nbf: seed.nbf, exp: seed.exp };
        let dress = Dress { now: self.world.clock.now(), attributes: Some(attributes), tags: seed.tags.clone() };
        let body = SecretBody { value, content_type: seed.content_type.clone() };
        self.change(Collection::Secrets, name, |shelves| shelves.put_secret(name, &dress, body))
    }

    /// Adds this many secrets, `secret-00000` and on, whose values have this many bytes, differ, and contain `kwcanary`
    /// where they are long enough; the names.
    pub fn seed_secrets(&self, count: usize, bytes: usize) -> Result<Vec<String>, StoreError> {
        let dress = Dress { now: self.world.clock.now(), attributes: None, tags: Tags::new() };
        let mut shelves = lock(&self.vault.shelves);
        let seed = |number: usize| {
            let name = format!("secret-{number:05}");
            let mut value = format!("kwcanary-{number:05}-");
            value.extend(std::iter::repeat_n('x', bytes.saturating_sub(value.len())));
            value.truncate(bytes);
            let body = SecretBody { value, content_type: None };
            let put = shelves.put_secret(&name, &dress, body);
            put.map_err(|error| self.error(Collection::Secrets, &name, &error))?;
            Ok(name)
        };
        (0..count).map(seed).collect()
    }

    /// Puts another value into the current version, as no real vault would: even into a certificate's secret. For
    /// tests that need a broken one.
    pub fn overwrite_secret(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let mut shelves = lock(&self.vault.shelves);
        let version = shelves.secrets.version_mut(name, None);
        let version = version.map_err(|_| self.error(Collection::Secrets, name, &"no such object"))?;
        value.clone_into(&mut version.body.value);
        Ok(())
    }

    /// Adds a version of a certificate, made here or read from a file; its id. RSA takes a moment.
    pub fn put_certificate(&self, name: &str, seed: &CertificateSeed) -> Result<String, StoreError> {
        let failed = |reason: &dyn std::fmt::Display| self.error(Collection::Certificates, name, reason);
        let now = self.world.clock.now();
        let asked = asked_policy(seed).map_err(|reason| failed(&reason))?;
        let policy = Policy::default_for(name).with(&asked).map_err(|_| failed(&"its policy makes no sense"))?;
        let (material, policy) = match given(seed).map_err(|reason| failed(&reason))? {
            Some(material) => {
                let policy = certificates::imported(policy, &material);
                (material, policy)
            }
            None => (self.world.chain_authority.issue(&policy, now).map_err(|error| failed(&error))?, policy),
        };
        let attributes = AttributesPatch { enabled: seed.enabled, ..AttributesPatch::default() };
        let dress = Dress { now, attributes: Some(attributes), tags: seed.tags.clone() };
        let put = |shelves: &mut Shelves| shelves.put_certificate(name, dress, &material, policy);
        self.change(Collection::Certificates, name, put)
    }

    /// Adds a version of a key; its id. RSA takes a moment.
    pub fn put_key(&self, name: &str, seed: &KeySeed) -> Result<String, StoreError> {
        let spec = KeySpec::from_request(&seed.kty, seed.key_size, seed.crv.as_deref());
        let made = spec.and_then(KeySpec::make_public);
        let jwk = made.map_err(|error| self.error(Collection::Keys, name, &error))?;
        let attributes = AttributesPatch { enabled: seed.enabled, ..AttributesPatch::default() };
        let dress = Dress { now: self.world.clock.now(), attributes: Some(attributes), tags: seed.tags.clone() };
        let body = keys::body(jwk, &seed.kty, None);
        self.change(Collection::Keys, name, |shelves| shelves.put_key(name, &dress, body))
    }

    /// Switches the current version on or off.
    pub fn set_enabled(&self, collection: Collection, name: &str, enabled: bool) -> Result<(), StoreError> {
        self.update(collection, name, None, &enabling(enabled))
    }

    /// Switches one version on or off.
    pub fn set_version_enabled(
        &self,
        collection: Collection,
        name: &str,
        version: &str,
        enabled: bool,
    ) -> Result<(), StoreError> {
        self.update(collection, name, Some(version), &enabling(enabled))
    }

    /// Replaces the tags of the current version.
    pub fn set_tags(&self, collection: Collection, name: &str, tags: &[(&str, &str)]) -> Result<(), StoreError> {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.update(collection, name, None, &VersionPatch { tags: Some(tags), ..VersionPatch::default() })
    }

    /// As PATCH does: `updated` of that version moves.
    fn update(
        &self,
        collection: Collection,
        name: &str,
        version: Option<&str>,
        patch: &VersionPatch,
    ) -> Result<(), StoreError> {
        let now = self.world.clock.now();
        self.change(collection, name, |shelves| shelves.update(collection, name, version, patch, now))
    }

    /// Moves an object among the deleted.
    pub fn delete(&self, collection: Collection, name: &str) -> Result<(), StoreError> {
        let now = self.world.clock.now();
        self.change(collection, name, |shelves| shelves.delete(collection, name, now))
    }

    /// Brings a deleted object back.
    pub fn recover(&self, collection: Collection, name: &str) -> Result<(), StoreError> {
        self.change(collection, name, |shelves| shelves.recover(collection, name))
    }

    /// Forgets a deleted object.
    pub fn purge(&self, collection: Collection, name: &str) -> Result<(), StoreError> {
        self.change(collection, name, |shelves| shelves.purge(collection, name))
    }

    /// Puts all objects of a vault.
    pub(super) fn fill(&self, seed: &VaultSeed) -> Result<(), StoreError> {
        for (name, seed) in &seed.secrets {
            self.put_secret(name, seed)?;
        }
        for (name, seed) in &seed.certificates {
            self.put_certificate(name, seed)?;
        }
        for (name, seed) in &seed.keys {
            self.put_key(name, seed)?;
        }
        Ok(())
    }

    fn change<T, E: std::fmt::Display>(
        &self,
        collection: Collection,
        name: &str,
        change: impl FnOnce(&mut Shelves) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        if !is_object_name(name) {
            return Err(self.error(collection, name, &"names are 1 to 127 of A-Z, a-z, 0-9 and -"));
        }
        change(&mut lock(&self.vault.shelves)).map_err(|error| self.error(collection, name, &error))
    }

    fn error(&self, collection: Collection, name: &str, reason: &dyn std::fmt::Display) -> StoreError {
        let vault = self.vault.name.clone();
        StoreError { vault, noun: collection.noun(), name: name.to_owned(), reason: reason.to_string() }
    }
}

fn enabling(enabled: bool) -> VersionPatch {
    let attributes = AttributesPatch { enabled: Some(enabled), ..AttributesPatch::default() };
    VersionPatch { attributes: Some(attributes), ..VersionPatch::default() }
}

/// The policy a seed asks for, as a request would.
fn asked_policy(seed: &CertificateSeed) -> Result<Value, String> {
    let kind = seed.key_type.as_deref().unwrap_or("ec").to_ascii_lowercase();
    let mut key = match kind.as_str() {
        "ec" | "ec-p256" => json!({"kty": "EC", "crv": "P-256"}),
        "ec-p384" => json!({"kty": "EC", "crv": "P-384"}),
        "rsa" | "rsa-2048" => json!({"kty": "RSA", "key_size": 2048}),
        "rsa-3072" => json!({"kty": "RSA", "key_size": 3072}),
        "rsa-4096" => json!({"kty": "RSA", "key_size": 4096}),
        _ => return Err(format!("keyType {kind} is none of rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384")),
    };
    key["exportable"] = seed.exportable.unwrap_or(true).into();
    Ok(json!({
        "key_props": key,
        "secret_props": {"contentType": seed.content_type},
        "x509_props": {
            "subject": seed.subject,
            "sans": {"dns_names": seed.dns_names},
            "validity_months": seed.validity_months,
        },
        "issuer": {"name": seed.chain.then_some(EMULATOR)},
    }))
}

/// The certificate that a seed brings along.
fn given(seed: &CertificateSeed) -> Result<Option<Material>, String> {
    let password = seed.password.as_deref().unwrap_or_default();
    let read = |path: &String| fs::read(path).map_err(|error| format!("{path}: {error}"));
    let text = |path: &String| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let parsed = match (&seed.pfx_file, &seed.pem_file, &seed.pem) {
        (None, None, None) => return Ok(None),
        (Some(path), None, None) => Material::from_pfx(&read(path)?, password),
        (None, Some(path), None) => Material::from_pem(&text(path)?),
        (None, None, Some(pem)) => Material::from_pem(pem),
        _ => return Err("give one of pfxFile, pemFile and pem".to_owned()),
    };
    parsed.map(Some).map_err(|error| error.to_string())
}
