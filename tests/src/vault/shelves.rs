//! The three collections of a vault together: what a certificate does to the secret and the key that come with it.

use std::collections::BTreeMap;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::attributes::{Attributes, AttributesPatch, Tags, VersionPatch};
use super::jwk::{self, Jwk, b64};
use super::material::{Material, MaterialError};
use super::names::Collection;
use super::policy::Policy;
use super::shelf::{Shelf, ShelfError, Version};

/// A vault's contents.
#[derive(Default)]
pub(super) struct Shelves {
    pub(super) secrets: Shelf<SecretBody>,
    pub(super) certificates: Shelf<CertificateBody>,
    pub(super) keys: Shelf<KeyBody>,
    /// Creations by lower-case name of the certificate.
    pub(super) creations: BTreeMap<String, Creation>,
}

/// A secret's own part.
#[derive(Clone)]
pub(super) struct SecretBody {
    pub(super) value: String,
    pub(super) content_type: Option<String>,
}

/// A certificate's own part.
#[derive(Clone)]
pub(super) struct CertificateBody {
    pub(super) cer: Vec<u8>,
    pub(super) subject: String,
    pub(super) policy: Policy,
}

/// A key's own part.
#[derive(Clone)]
pub(super) struct KeyBody {
    pub(super) jwk: Jwk,
    pub(super) key_ops: Vec<String>,
}

/// The operation that made a certificate.
#[derive(Clone)]
pub(super) struct Creation {
    pub(super) request_id: String,
    pub(super) issuer: String,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChangeError {
    #[error("{}", describe(*.0))]
    Shelf(ShelfError, Collection),
    #[error(transparent)]
    Material(#[from] MaterialError),
    #[error("the certificate's key is neither RSA nor on P-256, P-384 or P-521")]
    ForeignKey,
}

fn describe(error: ShelfError) -> &'static str {
    match error {
        ShelfError::Missing => "no such object or version",
        ShelfError::Deleted => "the name belongs to a deleted object; recover or purge it first",
        ShelfError::Managed => "the object belongs to the certificate of that name; change the certificate instead",
    }
}

/// What a new version has besides its body.
pub(super) struct Dress {
    pub(super) now: i64,
    pub(super) attributes: Option<AttributesPatch>,
    pub(super) tags: Tags,
}

impl CertificateBody {
    /// `x5t`: SHA-1 of the certificate, base64url.
    pub(super) fn thumbprint(&self) -> String {
        b64(digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.cer).as_ref())
    }
}

fn on(collection: Collection) -> impl Fn(ShelfError) -> ChangeError {
    move |error| ChangeError::Shelf(error, collection)
}

fn version<B>(id: &str, dress: &Dress, body: B) -> Version<B> {
    let attributes = Attributes::new(dress.now, dress.attributes);
    Version { id: id.to_owned(), attributes, tags: dress.tags.clone(), body }
}

fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

impl Shelves {
    /// Adds a version of a secret; its id.
    pub(super) fn put_secret(&mut self, name: &str, dress: &Dress, body: SecretBody) -> Result<String, ChangeError> {
        self.secrets.admits(name, false).map_err(on(Collection::Secrets))?;
        let id = new_id();
        self.secrets.add(name, false, version(&id, dress, body));
        Ok(id)
    }

    /// Adds a version of a key; its id.
    pub(super) fn put_key(&mut self, name: &str, dress: &Dress, body: KeyBody) -> Result<String, ChangeError> {
        self.keys.admits(name, false).map_err(on(Collection::Keys))?;
        let id = new_id();
        self.keys.add(name, false, version(&id, dress, body));
        Ok(id)
    }

    /// Adds a version of a certificate, and of the secret and the key that come with it, all of one id.
    pub(super) fn put_certificate(
        &mut self,
        name: &str,
        mut dress: Dress,
        material: &Material,
        policy: Policy,
    ) -> Result<String, ChangeError> {
        self.admits_certificate(name)?;
        let facts = material.leaf_facts()?;
        let jwk = jwk::from_spki(&facts.spki).ok_or(ChangeError::ForeignKey)?;
        let content_type = policy.secret_props.content_type.clone();
        let value = material.secret_value(&content_type, policy.key_props.exportable)?;
        // The certificate's own dates count, whatever the request says.
        let attributes = dress.attributes.get_or_insert_default();
        (attributes.nbf, attributes.exp) = (Some(facts.nbf), Some(facts.exp));

        let id = new_id();
        let secret = SecretBody { value, content_type: Some(content_type) };
        self.secrets.add(name, true, version(&id, &dress, secret));
        self.keys.add(name, true, version(&id, &dress, KeyBody { jwk, key_ops: all_key_ops() }));
        let body = CertificateBody { cer: material.leaf().to_vec(), subject: facts.subject, policy };
        self.certificates.add(name, false, version(&id, &dress, body));
        Ok(id)
    }

    /// Whether [`Self::put_certificate`] would find its names free.
    pub(super) fn admits_certificate(&self, name: &str) -> Result<(), ChangeError> {
        self.certificates.admits(name, false).map_err(on(Collection::Certificates))?;
        self.secrets.admits(name, true).map_err(on(Collection::Secrets))?;
        self.keys.admits(name, true).map_err(on(Collection::Keys))
    }

    /// Changes attributes and the like of one version.
    pub(super) fn update(
        &mut self,
        collection: Collection,
        name: &str,
        id: Option<&str>,
        patch: &VersionPatch,
        now: i64,
    ) -> Result<(), ChangeError> {
        self.refuse_managed(collection, name)?;
        match collection {
            Collection::Secrets => {
                let version = self.secrets.version_mut(name, id).map_err(on(collection))?;
                dress_up(version, patch, now);
                if patch.content_type.is_some() {
                    version.body.content_type.clone_from(&patch.content_type);
                }
            }
            Collection::Keys => {
                let version = self.keys.version_mut(name, id).map_err(on(collection))?;
                dress_up(version, patch, now);
                if let Some(key_ops) = &patch.key_ops {
                    version.body.key_ops.clone_from(key_ops);
                }
            }
            Collection::Certificates => {
                let version = self.certificates.version_mut(name, id).map_err(on(collection))?;
                // A certificate's dates are in the certificate.
                let enabled = patch.attributes.and_then(|attributes| attributes.enabled);
                let own = AttributesPatch { enabled, nbf: None, exp: None };
                let patch = VersionPatch { attributes: Some(own), ..patch.clone() };
                dress_up(version, &patch, now);
                let id = version.id.clone();
                let id = Some(id.as_str());
                dress_up(self.secrets.version_mut(name, id).map_err(on(Collection::Secrets))?, &patch, now);
                dress_up(self.keys.version_mut(name, id).map_err(on(Collection::Keys))?, &patch, now);
            }
        }
        Ok(())
    }

    /// Moves an object among the deleted; a certificate takes its secret and its key along.
    pub(super) fn delete(&mut self, collection: Collection, name: &str, now: i64) -> Result<(), ChangeError> {
        self.refuse_managed(collection, name)?;
        self.creations.remove(&name.to_ascii_lowercase());
        self.each_shelf(collection, name, Shelving::Delete(now))
    }

    /// Brings a deleted object back.
    pub(super) fn recover(&mut self, collection: Collection, name: &str) -> Result<(), ChangeError> {
        self.refuse_managed(collection, name)?;
        self.each_shelf(collection, name, Shelving::Recover)
    }

    /// Forgets a deleted object.
    pub(super) fn purge(&mut self, collection: Collection, name: &str) -> Result<(), ChangeError> {
        self.refuse_managed(collection, name)?;
        self.each_shelf(collection, name, Shelving::Purge)
    }

    fn each_shelf(&mut self, collection: Collection, name: &str, what: Shelving) -> Result<(), ChangeError> {
        let whole = collection == Collection::Certificates;
        if whole {
            what.apply(&mut self.certificates, name).map_err(on(Collection::Certificates))?;
        }
        if whole || collection == Collection::Secrets {
            what.apply(&mut self.secrets, name).map_err(on(Collection::Secrets))?;
        }
        if whole || collection == Collection::Keys {
            what.apply(&mut self.keys, name).map_err(on(Collection::Keys))?;
        }
        Ok(())
    }

    fn refuse_managed(&self, collection: Collection, name: &str) -> Result<(), ChangeError> {
        let managed = match collection {
            Collection::Secrets => is_managed(&self.secrets, name),
            Collection::Keys => is_managed(&self.keys, name),
            Collection::Certificates => false,
        };
        if managed { Err(ChangeError::Shelf(ShelfError::Managed, collection)) } else { Ok(()) }
    }
}

fn is_managed<B: Clone>(shelf: &Shelf<B>, name: &str) -> bool {
    shelf.get(name).or_else(|_| shelf.get_deleted(name)).is_ok_and(|item| item.managed)
}

#[derive(Clone, Copy)]
enum Shelving {
    Delete(i64),
    Recover,
    Purge,
}

impl Shelving {
    fn apply<B: Clone>(self, shelf: &mut Shelf<B>, name: &str) -> Result<(), ShelfError> {
        match self {
            Self::Delete(now) => shelf.delete(name, now),
            Self::Recover => shelf.recover(name),
            Self::Purge => shelf.purge(name),
        }
    }
}

fn dress_up<B>(version: &mut Version<B>, patch: &VersionPatch, now: i64) {
    version.attributes.change(now, patch.attributes);
    if let Some(tags) = &patch.tags {
        version.tags.clone_from(tags);
    }
}

/// What a key may do where a request does not say.
pub(super) fn all_key_ops() -> Vec<String> {
    ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::x509::ChainAuthority;
    use super::*;

    fn dress() -> Dress {
        Dress { now: 7, attributes: None, tags: Tags::new() }
    }

    fn with_certificate() -> (Shelves, String) {
        let asked = serde_json::json!({"key_props": {"kty": "EC"}});
        let policy = Policy::default_for("web").with(&asked).unwrap();
        let material = ChainAuthority::new().unwrap().issue(&policy, 1_700_000_000).unwrap();
        let mut shelves = Shelves::default();
        let id = shelves.put_certificate("web", dress(), &material, policy).unwrap();
        (shelves, id)
    }

    #[test]
    fn a_certificate_brings_a_secret_and_a_key_of_its_version() {
        let (shelves, id) = with_certificate();
        let secret = shelves.secrets.get("web").unwrap();
        let key = shelves.keys.get("web").unwrap();
        assert!(secret.managed && key.managed);
        assert_eq!((&secret.current().unwrap().id, &key.current().unwrap().id), (&id, &id));
        assert_eq!(secret.current().unwrap().attributes.nbf, Some(1_700_000_000));
    }

    #[test]
    fn what_a_certificate_owns_is_changed_through_the_certificate_only() {
        let (mut shelves, _) = with_certificate();
        let body = SecretBody { value: "kwcanary".into(), content_type: None };
        assert!(shelves.put_secret("web", &dress(), body).is_err());
        assert!(shelves.delete(Collection::Keys, "web", 8).is_err());
        let off = AttributesPatch { enabled: Some(false), ..Default::default() };
        let patch = VersionPatch { attributes: Some(off), ..Default::default() };
        assert!(shelves.update(Collection::Secrets, "web", None, &patch, 8).is_err());
        shelves.update(Collection::Certificates, "web", None, &patch, 8).unwrap();
        assert!(!shelves.secrets.get("web").unwrap().current().unwrap().attributes.enabled);
    }

    #[test]
    fn a_certificate_is_deleted_and_recovered_as_a_whole() {
        let (mut shelves, _) = with_certificate();
        shelves.delete(Collection::Certificates, "web", 8).unwrap();
        assert!(shelves.secrets.get("web").is_err() && shelves.keys.get("web").is_err());
        assert!(shelves.recover(Collection::Secrets, "web").is_err());
        shelves.recover(Collection::Certificates, "web").unwrap();
        assert!(shelves.secrets.get("web").is_ok() && shelves.keys.get("web").is_ok());
    }

    #[test]
    fn a_certificate_cannot_take_the_name_of_a_secret() {
        let mut shelves = Shelves::default();
        let body = SecretBody { value: "kwcanary".into(), content_type: None };
        shelves.put_secret("web", &dress(), body).unwrap();
        assert!(shelves.admits_certificate("web").is_err());
    }
}
