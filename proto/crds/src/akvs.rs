//! `AzureKeyVaultSecret` (`spv.no`, short `akvs`): which object of which vault a namespace uses, and what becomes of it.
//!
//! The kind is the one akv2k8s users have. Its four versions are read with one union of their fields, so a manifest
//! means the same whichever version it names: `output.transforms` (v1alpha1) and `output.transform` (later) are both
//! accepted.

mod rules;
mod status;

use kube::{
    CustomResource,
    core::{ApiResource, CustomResourceExt as _},
};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub use self::status::AzureKeyVaultSecretStatus;
use crate::rules::{MAX_TEXT, vault_name};

/// API group.
pub const GROUP: &str = "spv.no";
/// Kind.
pub const KIND: &str = "AzureKeyVaultSecret";
/// Every version served, the stored one last.
pub const VERSIONS: [&str; 4] = ["v1alpha1", "v1", "v2alpha1", "v2beta1"];

/// The stored version, for watches that read objects as they are.
pub fn api_resource() -> ApiResource {
    AzureKeyVaultSecret::api_resource()
}

/// Which object of which vault, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "spv.no",
    version = "v2beta1",
    kind = "AzureKeyVaultSecret",
    plural = "azurekeyvaultsecrets",
    shortname = "akvs",
    category = "all",
    namespaced,
    status = "AzureKeyVaultSecretStatus",
    derive = "PartialEq",
    doc = "An object of an Azure Key Vault that this namespace uses: by references in environment variables, as a Secret, or as a ConfigMap."
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = rules::spec()))]
pub struct AzureKeyVaultSecretSpec {
    /// Where the object is.
    pub vault: VaultSpec,
    /// What to write into the namespace. Absent where only references in environment variables use the object.
    // Most have none and should not hold its room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Box<OutputSpec>>,
}

/// Where the object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultSpec {
    /// The vault's name, in any case: not its URL.
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = vault_name()))]
    pub name: String,
    /// The object in it.
    pub object: ObjectSpec,
    /// Accepted for akv2k8s's sake, and ignored: the identity that reads a vault is the administrator's to choose, in
    /// the `AzureKeyVault`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_identity: Option<AzureIdentityReference>,
}

/// Ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureIdentityReference {
    /// Ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// An object of a vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = rules::object()))]
pub struct ObjectSpec {
    /// The object's name, in any case.
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::object_name()))]
    pub name: String,
    /// How the object is read and written.
    #[serde(rename = "type")]
    pub object_type: ObjectType,
    /// Exactly this version. Absent or empty for the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::object_version()))]
    pub version: Option<String>,
    /// How a multi-key-value-secret is written. Required for it, meaningless for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<ContentType>,
}

/// How an object is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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

/// How a multi-key-value-secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ContentType {
    /// A JSON object.
    #[serde(rename = "application/x-json")]
    Json,
    /// A YAML mapping.
    #[serde(rename = "application/x-yaml")]
    Yaml,
}

/// What to write into the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = rules::output()), transform = with_both_spellings)]
pub struct OutputSpec {
    /// A Secret to write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretOutput>,
    /// A `ConfigMap` to write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapOutput>,
    /// Steps applied to the value in order: `trim`, `base64encode`, `base64decode`. They hold for references too.
    #[serde(default, alias = "transforms", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        with = "Vec<String>",
        length(max = rules::MAX_TRANSFORMS),
        extend("x-kubernetes-validations" = rules::transforms())
    )]
    pub transform: Vec<Transform>,
}

/// A Secret to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretOutput {
    /// The Secret's name.
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::output_name()))]
    pub name: String,
    /// The Secret's type. Absent or empty for `Opaque`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT))]
    pub secret_type: Option<String>,
    /// The key to write under. Not needed where the keys follow from the type or from the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT))]
    pub data_key: Option<String>,
    /// Accepted for akv2k8s's sake: chains are always written leaf first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_order: Option<ChainOrder>,
}

/// In which order a chain is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChainOrder {
    /// Leaf first.
    EnsureServerFirst,
}

/// A `ConfigMap` to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapOutput {
    /// The `ConfigMap`'s name.
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::output_name()))]
    pub name: String,
    /// The key to write under. Not needed for a multi-key-value-secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT))]
    pub data_key: Option<String>,
}

/// One step of `output.transform`.
// Free text in the schema: a rule's message says more than an enumeration's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transform {
    /// Removes white space at both ends.
    Trim,
    /// To standard base64.
    Base64Encode,
    /// From standard base64.
    Base64Decode,
}

/// The list's name in v1alpha1 beside its later one. Both are stored as they were written, so no version loses either.
fn with_both_spellings(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(|value| value.as_object_mut());
    if let Some(properties) = properties
        && let Some(mut list) = properties.get("transform").cloned()
    {
        list["description"] = "The same as `transform`, as v1alpha1 spells it.".into();
        properties.insert("transforms".to_owned(), list);
    }
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
