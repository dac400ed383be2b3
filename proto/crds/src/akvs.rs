//! `AzureKeyVaultSecret` (`spv.no`, short `akvs`): which object of which vault a namespace uses, and what becomes of it.
//!
//! The kind is the one akv2k8s users have. Its four versions are read with one union of their fields, so a manifest
//! means the same whichever version it names: `output.transforms` (v1alpha1) and `output.transform` (later) are both
//! accepted.

use serde::Deserialize;

/// API group.
pub const GROUP: &str = "spv.no";
/// Kind.
pub const KIND: &str = "AzureKeyVaultSecret";
/// Every version served, the stored one last.
pub const VERSIONS: [&str; 4] = ["v1alpha1", "v1", "v2alpha1", "v2beta1"];

/// `spec`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureKeyVaultSecretSpec {
    /// Where the object is.
    pub vault: VaultSpec,
    /// What to write into the cluster; absent where only environment injection is wanted. Most have none and should not
    /// hold its room.
    pub output: Option<Box<OutputSpec>>,
}

/// `spec.vault`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultSpec {
    /// The vault's name, in any case.
    pub name: String,
    /// The object in it.
    pub object: ObjectSpec,
    /// In akv2k8s's schema and read by nothing there; accepted and ignored here too. Identities are the
    /// administrator's, in `AzureKeyVault`.
    pub azure_identity: Option<AzureIdentityReference>,
}

/// `spec.vault.azureIdentity`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureIdentityReference {
    /// Ignored.
    pub name: Option<String>,
}

/// `spec.vault.object`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectSpec {
    /// The object's name, in any case.
    pub name: String,
    /// How the object is read and rendered.
    #[serde(rename = "type")]
    pub object_type: ObjectType,
    /// Exactly this version; absent or empty for the current one.
    pub version: Option<String>,
    /// How a `multi-key-value-secret` is written. Required for it, meaningless for others.
    pub content_type: Option<ContentType>,
}

/// `spec.vault.object.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectType {
    /// A secret.
    Secret,
    /// A certificate, with its private key where its policy lets it be exported.
    Certificate,
    /// The public half of a key.
    Key,
    /// A secret whose value is a map.
    MultiKeyValueSecret,
}

/// `spec.vault.object.contentType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum ContentType {
    /// A JSON object.
    #[serde(rename = "application/x-json")]
    Json,
    /// A YAML mapping.
    #[serde(rename = "application/x-yaml")]
    Yaml,
}

/// `spec.output`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputSpec {
    /// A Secret to write.
    pub secret: Option<SecretOutput>,
    /// A `ConfigMap` to write.
    pub config_map: Option<ConfigMapOutput>,
    /// Steps applied to the value in order. They hold for environment injection too.
    #[serde(default, alias = "transforms")]
    pub transform: Vec<Transform>,
}

/// `spec.output.secret`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretOutput {
    /// The Secret's name.
    pub name: String,
    /// The Secret's type; absent or empty for `Opaque`.
    #[serde(rename = "type")]
    pub secret_type: Option<String>,
    /// The key to write under, for the types that have no fixed keys.
    pub data_key: Option<String>,
    /// Accepted for akv2k8s's sake: chains are always written leaf first.
    pub chain_order: Option<ChainOrder>,
}

/// `spec.output.secret.chainOrder`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChainOrder {
    /// Leaf first.
    EnsureServerFirst,
}

/// `spec.output.configMap`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapOutput {
    /// The `ConfigMap`'s name.
    pub name: String,
    /// The key to write under; unused for a `multi-key-value-secret`.
    pub data_key: Option<String>,
}

/// One step of `spec.output.transform`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transform {
    /// Removes white space at both ends.
    Trim,
    /// To standard base64.
    Base64Encode,
    /// From standard base64.
    Base64Decode,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<AzureKeyVaultSecretSpec, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_of_akv2k8s_is_read() {
        let spec = read(
            "vault:\n  name: akv2k8s-test\n  object: {name: my-secret, type: secret}\n\
             output:\n  secret: {name: my-secret-from-akv, dataKey: secret-value}\n",
        )
        .unwrap();
        assert_eq!(spec.vault.object.object_type, ObjectType::Secret);
        assert_eq!(spec.output.unwrap().secret.unwrap().data_key.as_deref(), Some("secret-value"));
    }

    #[test]
    fn both_spellings_of_transform_are_read() {
        for field in ["transform", "transforms"] {
            let yaml = format!(
                "vault: {{name: v-1, object: {{name: o, type: multi-key-value-secret, contentType: application/x-yaml}}}}\n\
                 output: {{{field}: [trim, base64decode]}}\n"
            );
            assert_eq!(
                read(&yaml).unwrap().output.unwrap().transform,
                [Transform::Trim, Transform::Base64Decode],
                "{field}"
            );
        }
    }

    #[test]
    fn a_misspelt_field_is_named() {
        let error = read("vault: {name: v-1, object: {name: o, typ: secret}}").unwrap_err();
        assert!(error.contains("typ"), "{error}");
    }
}
