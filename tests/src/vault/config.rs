//! The shape of the objects file. The module docs of [`super`] show one; `examples/vault.yaml` is a whole one.
//!
//! No type here is `Debug`: they hold values.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Tenant of whatever names none.
pub const DEFAULT_TENANT: &str = "11111111-1111-1111-1111-111111111111";

/// The audience of Key Vault tokens in the public cloud.
pub const DEFAULT_RESOURCE: &str = "https://vault.azure.net";

/// The whole file.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objects {
    /// Vaults by name.
    #[serde(default)]
    pub vaults: BTreeMap<String, VaultSeed>,
    /// Who may ask for tokens.
    #[serde(default)]
    pub identities: Vec<Identity>,
}

/// One vault.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultSeed {
    /// Tenant named in its challenge.
    pub tenant: Option<String>,
    /// Audience it demands of tokens; another one for a sovereign cloud.
    pub resource: Option<String>,
    /// `innererror.code` of the 403 that every authenticated call gets, such as `ForbiddenByConnection`.
    pub refuse: Option<String>,
    /// Requests that it answers in any ten seconds, 429 beyond; absent, all. Key Vault: 4,000.
    pub limit: Option<usize>,
    /// Its secrets.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretSeed>,
    /// Its certificates.
    #[serde(default)]
    pub certificates: BTreeMap<String, CertificateSeed>,
    /// Its keys.
    #[serde(default)]
    pub keys: BTreeMap<String, KeySeed>,
}

/// A secret, or one version of it.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretSeed {
    /// The value; may be left out where `versions` has it.
    pub value: Option<String>,
    /// Free text.
    pub content_type: Option<String>,
    /// Off means GET answers 403 `SecretDisabled`.
    pub enabled: Option<bool>,
    /// Seconds since 1970.
    pub nbf: Option<i64>,
    /// Seconds since 1970.
    pub exp: Option<i64>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Earlier versions, oldest first.
    #[serde(default)]
    pub versions: Vec<SecretSeed>,
}

impl SecretSeed {
    /// A secret that has a value and nothing else.
    pub fn of(value: &str) -> Self {
        Self { value: Some(value.to_owned()), ..Self::default() }
    }
}

/// A certificate: made by the emulator, or read from a file.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateSeed {
    /// Its subject, such as `CN=shop.example`.
    pub subject: Option<String>,
    /// Its DNS names.
    #[serde(default)]
    pub dns_names: Vec<String>,
    /// `rsa-2048`, `rsa-3072`, `rsa-4096`, `ec-p256` (the default) or `ec-p384`.
    pub key_type: Option<String>,
    /// `application/x-pkcs12` (the default) or `application/x-pem-file`.
    pub content_type: Option<String>,
    /// Off means that its secret holds no key. On by default.
    pub exportable: Option<bool>,
    /// Issued by an intermediate and a root, both part of the chain; off means self-signed.
    #[serde(default)]
    pub chain: bool,
    /// How long it holds, 12 by default.
    pub validity_months: Option<u32>,
    /// Off means GET answers 403.
    pub enabled: Option<bool>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// A PKCS#12 file beside the objects file, instead of all but the content type.
    pub pfx_file: Option<String>,
    /// A PEM file beside the objects file: PKCS#8 key, then the chain, leaf first.
    pub pem_file: Option<String>,
    /// The same as text.
    pub pem: Option<String>,
    /// The PKCS#12 file's password.
    pub password: Option<String>,
}

/// A key; only its public half is kept.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeySeed {
    /// `RSA` or `EC`, with `-HSM` if you like.
    pub kty: String,
    /// Bits of an RSA key: 2048 (the default), 3072 or 4096.
    pub key_size: Option<u32>,
    /// Curve of an EC key: `P-256` (the default), `P-384` or `P-521`.
    pub crv: Option<String>,
    /// Off means GET answers 403 `KeyDisabled`.
    pub enabled: Option<bool>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// Somebody who may get tokens.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// Directory it lives in.
    #[serde(default = "default_tenant")]
    pub tenant: String,
    /// Its client id.
    pub client_id: String,
    /// Its object id; the client id where absent.
    pub object_id: Option<String>,
    /// A secret it may sign in with.
    pub client_secret: Option<String>,
    /// Subjects of the cluster's tokens it may sign in with.
    #[serde(default)]
    pub federated_subjects: Vec<String>,
    /// Offered by IMDS and App Service too.
    pub managed: Option<Managed>,
    /// Resource id, for the selector `mi_res_id`.
    pub resource_id: Option<String>,
    /// What it may do; absent, everything.
    pub access: Option<Vec<Grant>>,
}

/// How a managed identity is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Managed {
    /// The machine's own: what a request without selector gets.
    System,
    /// One that a request must select, unless it is the only one.
    User,
}

/// A permission.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// In this vault; absent, in all.
    pub vault: Option<String>,
    /// Operations such as `SecretGet`; `Secret*` means all of secrets, `*` everything.
    pub operations: Vec<String>,
}

impl Grant {
    /// Whether it covers `operation` in `vault`.
    pub(super) fn covers(&self, vault: &str, operation: &str) -> bool {
        self.vault.as_deref().is_none_or(|name| name == vault)
            && self.operations.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => operation.starts_with(prefix),
                None => operation == pattern,
            })
    }
}

fn default_tenant() -> String {
    DEFAULT_TENANT.to_owned()
}

impl Objects {
    /// Reads the file's text.
    pub fn from_yaml(text: &str) -> Result<Self, ObjectsError> {
        let objects: Self = serde_saphyr::from_str(text).map_err(|error| ObjectsError(error.to_string()))?;
        if let Some(name) = objects.vaults.keys().find(|name| !super::names::is_vault_name(name)) {
            return Err(ObjectsError(format!("{name} is no vault name: 3 to 24 of a-z, 0-9 and -, a letter first")));
        }
        Ok(objects)
    }
}

/// The objects file cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("objects file: {0}")]
pub struct ObjectsError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_file_reads() {
        let objects = Objects::from_yaml(include_str!("../../../examples/vault.yaml")).unwrap();
        assert_eq!(objects.vaults.keys().collect::<Vec<_>>(), ["acme", "partner"]);
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error = Objects::from_yaml("vaults: {acme: {secretz: {}}}").err().unwrap().to_string();
        assert!(error.contains("secretz"), "{error}");
    }

    #[test]
    fn a_bad_vault_name_is_named() {
        let error = Objects::from_yaml("vaults: {Acme: {}}").err().unwrap().to_string();
        assert!(error.contains("Acme"), "{error}");
    }

    #[test]
    fn grants_cover_what_they_name() {
        let grant = |vault: Option<&str>, operation: &str| Grant {
            vault: vault.map(str::to_owned),
            operations: vec![operation.to_owned()],
        };
        for (grant, vault, operation, covered) in [
            (grant(None, "*"), "acme", "KeyGet", true),
            (grant(Some("acme"), "Secret*"), "acme", "SecretList", true),
            (grant(Some("acme"), "Secret*"), "partner", "SecretList", false),
            (grant(Some("acme"), "SecretGet"), "acme", "SecretGetDeleted", false),
        ] {
            assert_eq!(grant.covers(vault, operation), covered, "{grant:?} {vault} {operation}");
        }
    }
}
