//! `AzureKeyVault` (`keyward.dev/v1alpha1`, cluster-scoped): the administrator's word on one vault. Which namespaces may
//! read which of its objects, as which identity, how often.
//!
//! Without it the broker's one identity could read any vault for any namespace: the confused deputy.

mod rules;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    CustomResource,
    core::{ApiResource, CustomResourceExt as _},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    akvs::ObjectType,
    meta::LabelSelector,
    rules::{MAX_TEXT, vault_name},
};

/// API group.
pub const GROUP: &str = "keyward.dev";
/// Kind.
pub const KIND: &str = "AzureKeyVault";
/// The only version.
pub const VERSION: &str = "v1alpha1";

/// The only version, for watches that read objects as they are.
pub fn api_resource() -> ApiResource {
    AzureKeyVault::api_resource()
}

/// Which vault, who may read what of it, as which identity, how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "keyward.dev",
    version = "v1alpha1",
    kind = "AzureKeyVault",
    plural = "azurekeyvaults",
    shortname = "akv",
    status = "AzureKeyVaultStatus",
    derive = "PartialEq",
    doc = "An Azure Key Vault that namespaces of this cluster may read: which namespaces, which objects, as which identity, how often."
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = rules::spec()))]
pub struct AzureKeyVaultSpec {
    /// The name that `AzureKeyVaultSecrets` use, in any case.
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = vault_name()))]
    pub vault_name: String,
    /// The vault's URL where it is not `https://NAME.SUFFIX`: a private endpoint, an emulator.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::url()))]
    pub url: Option<String>,
    /// Whose DNS suffix and authority hold for this vault. Absent for the broker's own setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Cloud>,
    /// The Entra tenant of the identity. Absent for the broker's own setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::id()))]
    pub tenant_id: Option<String>,
    /// The identity that reads this vault. Absent for the broker's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySpec>,
    /// Who may read. Absent or empty: nobody.
    #[serde(default)]
    pub namespaces: NamespacesSpec,
    /// What they may read. Absent: every object of the vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<Vec<ObjectsSpec>>,
    /// How often what is cached is compared with the vault, such as 10m or 30s. Absent for the broker's own setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::poll_interval()))]
    pub poll_interval: Option<String>,
    /// How long what is cached is served while the vault does not answer, such as 24h; 0s for not at all. Absent for the
    /// broker's own setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::max_stale()))]
    pub max_stale: Option<String>,
    /// How much the vault may be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetSpec>,
}

/// How much the vault may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetSpec {
    /// Requests in any ten seconds, all replicas of the broker together. Absent for the broker's own setting. Key Vault
    /// allows 4,000 to a vault.
    // <https://learn.microsoft.com/azure/key-vault/general/service-limits>
    #[serde(rename = "requestsPer10Seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 40_000))]
    pub requests_per_10_seconds: Option<u32>,
}

/// A cloud of Azure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Cloud {
    /// `vault.azure.net`
    AzurePublic,
    /// `vault.usgovcloudapi.net`
    AzureUSGovernment,
    /// `vault.azure.cn`
    AzureChina,
    /// Another, such as Azure Stack, as the broker's settings describe it.
    AzureCustom,
}

/// The identity that reads a vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = rules::identity()))]
pub struct IdentitySpec {
    /// How the identity proves itself. Absent: as the broker's own does.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub identity_type: Option<IdentityType>,
    /// The application (client) id. Absent for the broker's own, or a managed identity that the machine has alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::id()))]
    pub client_id: Option<String>,
    /// A managed identity's object (principal) id, instead of its client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::id()))]
    pub object_id: Option<String>,
    /// A managed identity's ARM resource id, instead of its client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::resource_id()))]
    pub resource_id: Option<String>,
    /// The Entra tenant: the same as `spec.tenantId`, which may stand here too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::id()))]
    pub tenant_id: Option<String>,
    /// The Secret, in the broker's namespace, with the application's secret or certificate.
    // Of a broker that reads manifests from files: the directory below the one it was given for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_TEXT), extend("x-kubernetes-validations" = rules::secret_name()))]
    pub secret_name: Option<String>,
}

/// How an identity proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum IdentityType {
    /// The service account's token, federated.
    WorkloadIdentity,
    /// An identity of the machine.
    ManagedIdentity,
    /// An application's secret.
    ClientSecret,
    /// An application's certificate.
    ClientCertificate,
}

/// Which namespaces: one is admitted by either part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespacesSpec {
    /// Names, `*` standing for any run of characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// By the namespace's labels. Absent matches none, empty matches all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Which objects: one is admitted by any entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectsSpec {
    /// Names without case, `*` standing for any run of characters.
    pub names: Vec<String>,
    /// The types admitted. Absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<ObjectType>>,
}

/// Whether it holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureKeyVaultStatus {
    /// `Ready`: whether this declaration holds, and if not, why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::conditions::schema")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this is said of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_declaration_is_read() {
        let spec: AzureKeyVaultSpec = serde_saphyr::from_str(
            "vaultName: acme\nurl: https://localhost:9443\ncloud: AzurePublic\ntenantId: t\nidentity: {clientId: c}\n\
             namespaces: {names: [shop, 'team-*'], selector: {matchLabels: {tier: gold}}}\n\
             objects: [{names: ['db-*'], types: [secret]}]\npollInterval: 30s\n\
             maxStale: 12h\nbudget: {requestsPer10Seconds: 500}\n",
        )
        .unwrap();
        assert_eq!(spec.namespaces.names, ["shop", "team-*"]);
        assert_eq!(spec.objects.unwrap()[0].types, Some(vec![ObjectType::Secret]));
    }

    #[test]
    fn an_identity_of_each_type_is_read() {
        let spec: AzureKeyVaultSpec = serde_saphyr::from_str(
            "vaultName: acme\ncloud: AzureCustom\nidentity: {type: ManagedIdentity, resourceId: /subscriptions/s}\n",
        )
        .unwrap();
        let identity = spec.identity.unwrap();
        assert_eq!(identity.identity_type, Some(IdentityType::ManagedIdentity));
        assert_eq!(identity.resource_id.as_deref(), Some("/subscriptions/s"));
        for bad in ["{type: Certificate}", "{clientID: c}", "{secret: s}"] {
            let text = format!("vaultName: acme\nidentity: {bad}\n");
            assert!(serde_saphyr::from_str::<AzureKeyVaultSpec>(&text).is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_is_admitted_by_default() {
        let spec: AzureKeyVaultSpec = serde_saphyr::from_str("vaultName: acme").unwrap();
        assert_eq!(spec.namespaces, NamespacesSpec::default());
    }
}
