//! What a vault object is to the broker: how it is named, what was read, what it was parsed into.

use std::fmt;

use keyward_types::{ObjectKind, ObjectName, ObjectVersion, SecretBytes};
use time::OffsetDateTime;

/// Which object, in a vault already chosen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// Which of the three collections it lives in.
    pub kind: ObjectKind,
    /// Its name, lower case.
    pub name: ObjectName,
    /// Exactly this version, or the current one.
    pub version: Option<ObjectVersion>,
}

impl fmt::Display for ObjectId {
    /// `secret/db-password`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        f.write_str("/")?;
        f.write_str(self.name.as_str())
    }
}

/// One read of an object, as Key Vault answered and nothing interpreted.
#[derive(Debug)]
pub struct RawObject {
    /// The version that was answered.
    pub version: ObjectVersion,
    /// Its attributes.
    pub attributes: Attributes,
    /// What to compare the next listing with.
    pub stamp: Stamp,
    /// Its body.
    pub body: RawBody,
}

/// When an object last changed, as the listing that is watched shows it: for a certificate its twin among the secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Whole seconds; compared for inequality and never for order.
    pub updated: Option<OffsetDateTime>,
    /// The answer came within the same two seconds: another change may hide behind the same stamp.
    pub hot: bool,
}

impl Stamp {
    /// Of an object that was `updated` then, in an answer that its server dated `answered`.
    pub fn new(updated: Option<OffsetDateTime>, answered: OffsetDateTime) -> Self {
        const GRAIN: time::Duration = time::Duration::seconds(2);
        Self { updated, hot: updated.is_none_or(|updated| answered - updated < GRAIN) }
    }
}

/// Attributes of a version. Key Vault serves expired and not-yet-valid objects, and so does the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `nbf`
    pub not_before: Option<OffsetDateTime>,
    /// `exp`
    pub expires: Option<OffsetDateTime>,
    /// When the version was made; whole seconds.
    pub created: Option<OffsetDateTime>,
    /// When the version, or its attributes, last changed; whole seconds.
    pub updated: Option<OffsetDateTime>,
}

/// The body of a read.
#[derive(Debug)]
pub enum RawBody {
    /// `GET /secrets/NAME`
    Secret(RawSecret),
    /// `GET /certificates/NAME`, and of the same version `GET /secrets/NAME`
    Certificate {
        /// The leaf, DER.
        leaf: Vec<u8>,
        /// The chain and, where it may be exported, the private key.
        twin: RawSecret,
    },
    /// `GET /keys/NAME`: the public JSON Web Key, RFC 7517.
    Key(serde_json::Map<String, serde_json::Value>),
}

/// A secret as Key Vault holds it.
#[derive(Debug)]
pub struct RawSecret {
    /// The value.
    pub value: SecretBytes,
    /// `contentType`: free text for people's secrets, `application/x-pkcs12` or `application/x-pem-file` for a
    /// certificate's.
    pub content_type: Option<String>,
}

/// An object parsed once per version; views of it (a query, transforms, a data map) are cheap. Most are secrets, and
/// thousands of them are held: none takes the room of a certificate.
#[derive(Debug)]
pub enum Object {
    /// A secret's value.
    Secret(SecretBytes),
    /// A certificate.
    Certificate(Box<Certificate>),
    /// A public key.
    Key(Box<PublicKey>),
}

/// A certificate, its parts in PEM.
#[derive(Debug)]
pub struct Certificate {
    /// Every certificate, leaf first, each followed by its issuer; the root, where the chain has it, last.
    pub chain: String,
    /// The self-signed root alone, where the chain has it.
    pub root: Option<String>,
    /// PKCS#1 for RSA, SEC1 for EC, as akv2k8s writes them; `None` where the certificate's policy forbids export.
    pub key: Option<SecretBytes>,
}

/// A public key.
#[derive(Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// `SubjectPublicKeyInfo` in PEM (RFC 5280, RFC 7468).
    pub pem: String,
    /// The public JSON Web Key, RFC 7517, members in order of name.
    pub jwk: String,
}

impl Object {
    /// Estimated bytes of memory, for the cache's bound.
    pub fn weight(&self) -> usize {
        match self {
            Self::Secret(value) => value.len(),
            Self::Certificate(certificate) => {
                certificate.chain.len()
                    + certificate.root.as_ref().map_or(0, String::len)
                    + certificate.key.as_ref().map_or(0, SecretBytes::len)
            }
            Self::Key(key) => key.pem.len() + key.jwk.len(),
        }
    }
}
