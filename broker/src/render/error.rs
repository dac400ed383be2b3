//! Why an object cannot be rendered. Whoever asked names the object; nothing here holds a part of a value.

use super::{CertificateError, JwkError, KeyNames, MapError};

/// Why an object, as it is in the vault, does not give what the `AzureKeyVaultSecret` or the reference asks for.
/// Asking again does not help: the object, the manifest or the reference must change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A value, or the part of it that was asked for, has no bytes.
    #[error("the value is empty; store one in the vault")]
    Empty,
    /// More than [`super::MAX_BYTES`].
    #[error("the value is larger than 1 MiB; split it")]
    TooLarge,
    /// The object was read from another collection than `type` says: a fault of the caller.
    #[error("the object is a {found}, but `vault.object.type` says {expected}; correct the type")]
    OtherType {
        /// What the manifest says.
        expected: &'static str,
        /// What was read.
        found: &'static str,
    },
    /// No such part.
    #[error("a {object} has no such part; ask for {allowed}")]
    NoSuchPart {
        /// The type of the object.
        object: &'static str,
        /// What may be asked for.
        allowed: &'static str,
    },
    /// A map was asked for without a key.
    #[error("a multi-key-value-secret is read one key at a time; append `?KEY` to the reference{0}")]
    KeyNeeded(KeyNames),
    /// A map was asked for a key it has not.
    #[error("the multi-key-value-secret has no such key{0}")]
    NoSuchKey(KeyNames),
    /// The part needs a chain with its root.
    #[error(
        "the certificate's chain in the vault does not hold its root, so there is no `ca.crt`; import it with the root"
    )]
    NoRoot,
    /// The part needs a private key.
    #[error(
        "the certificate's private key cannot be read from the vault; make the key exportable in the certificate's policy, \
         then renew the certificate"
    )]
    NoPrivateKey,
    /// Not `USER:PASSWORD`.
    #[error("the value is not of the form USER:PASSWORD, it holds no `:`")]
    NoColon,
    /// `base64decode` on something else.
    #[error(
        "the value is not standard base64, so the transform `base64decode` cannot be applied; remove it or correct the value"
    )]
    NotBase64,
    /// Text is needed.
    #[error("the value is not UTF-8 text; {0}")]
    NotText(&'static str),
    /// `vault.object.contentType` is missing.
    #[error(
        "`vault.object.contentType` is missing; a multi-key-value-secret needs `application/x-json` or `application/x-yaml`"
    )]
    NoContentType,
    /// The map cannot be read.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The key cannot be read.
    #[error(transparent)]
    Jwk(#[from] JwkError),
    /// What another replica says of it, which has read it.
    #[error("{0}")]
    Elsewhere(String),
    /// Nothing to write.
    #[error("the AzureKeyVaultSecret has neither `output.secret` nor `output.configMap`; there is nothing to write")]
    NoOutput,
    /// The field that names the data key is missing.
    #[error("`{0}` is missing or empty; name the key to write under")]
    NoDataKey(&'static str),
    /// Kubernetes would refuse the data key.
    #[error(
        "`{0}` is no data key: letters, digits, `-`, `_` and `.`, at most 253, neither `.` nor beginning with `..`"
    )]
    InvalidDataKey(&'static str),
    /// Private keys are not for `ConfigMap`s.
    #[error(
        "`output.configMap.dataKey` is `tls.key`; a private key is never written to a ConfigMap, use `output.secret`"
    )]
    PrivateKeyInConfigMap,
    /// A typed Secret lacks what its type demands.
    #[error(
        "a Secret of type {secret_type} must have `{key}`, which this object does not give; choose another type or object"
    )]
    FixedKeyMissing {
        /// One of the types with fixed keys.
        secret_type: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A typed Secret's content is not what its type demands.
    #[error("a Secret of type {secret_type} needs {needs}; the value is something else")]
    WrongShape {
        /// One of the types with fixed keys.
        secret_type: &'static str,
        /// What the value should be.
        needs: &'static str,
    },
}
