//! `AzureKeyVault` (`keyward.dev/v1alpha1`, cluster-scoped): the administrator's word on one vault. Which namespaces may
//! read which of its objects, as which identity, how often.
//!
//! Without it the broker's one identity could read any vault for any namespace: the confused deputy.

use serde::Deserialize;

use crate::{akvs::ObjectType, meta::LabelSelector};

/// API group.
pub const GROUP: &str = "keyward.dev";
/// Kind.
pub const KIND: &str = "AzureKeyVault";
/// The only version.
pub const VERSION: &str = "v1alpha1";

/// `spec`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureKeyVaultSpec {
    /// The name that `AzureKeyVaultSecret`s use, in any case.
    pub vault_name: String,
    /// The vault's URL where it is not `https://NAME.SUFFIX`: an emulator or another endpoint.
    pub url: Option<String>,
    /// Whose DNS suffix and authority hold for this vault; the broker's own setting where absent.
    pub cloud: Option<Cloud>,
    /// The Entra tenant of the identity; the broker's own setting where absent.
    pub tenant_id: Option<String>,
    /// The identity that reads this vault; the broker's own where absent.
    pub identity: Option<IdentitySpec>,
    /// Who may read. Absent or empty: nobody.
    #[serde(default)]
    pub namespaces: NamespacesSpec,
    /// What they may read. Absent: every object of the vault.
    pub objects: Option<Vec<ObjectsSpec>>,
    /// How often what is cached of it is compared with it, as `10m` or `30s`; the broker's own setting where absent.
    pub poll_interval: Option<String>,
    /// How long what is cached of it is served while it does not answer, as `24h`; `0s` for not at all. The broker's own
    /// setting where absent.
    pub max_stale: Option<String>,
    /// How much it may be asked.
    pub budget: Option<BudgetSpec>,
}

/// `spec.budget`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetSpec {
    /// Requests in any ten seconds, all broker replicas together; the broker's own setting where absent. Key Vault allows
    /// 4,000 to a vault: <https://learn.microsoft.com/azure/key-vault/general/service-limits>
    #[serde(rename = "requestsPer10Seconds")]
    pub requests_per_10_seconds: Option<u32>,
}

/// `spec.cloud`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
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

/// `spec.identity`. What goes with which type is the broker's to check: a schema says it badly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentitySpec {
    /// How the identity proves itself; as the broker's own does where absent.
    #[serde(rename = "type")]
    pub identity_type: Option<IdentityType>,
    /// The application (client) id; the broker's own where absent and not demanded.
    pub client_id: Option<String>,
    /// A managed identity's object (principal) id, instead of its client id.
    pub object_id: Option<String>,
    /// A managed identity's ARM resource id, instead of its client id.
    pub resource_id: Option<String>,
    /// The Entra tenant: the same as `spec.tenantId`, which may stand here too.
    pub tenant_id: Option<String>,
    /// The directory with its secret or certificate, below the one that the broker was given for all of them.
    pub secret_name: Option<String>,
}

/// `spec.identity.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
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

/// `spec.namespaces`: a namespace is admitted by either part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespacesSpec {
    /// Names, `*` standing for any run of characters.
    #[serde(default)]
    pub names: Vec<String>,
    /// By the namespace's labels; absent matches none.
    pub selector: Option<LabelSelector>,
}

/// One entry of `spec.objects`: an object is admitted by any entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectsSpec {
    /// Names without case, `*` standing for any run of characters.
    pub names: Vec<String>,
    /// The types admitted; absent for all.
    pub types: Option<Vec<ObjectType>>,
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
