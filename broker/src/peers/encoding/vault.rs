//! A vault, as one identity reads it. It travels as words and is looked up among one's own declarations: nobody is made to
//! read a vault, or as somebody, that no declaration here names.

use std::sync::Arc;

use keyward_crds::azure_key_vault::Cloud;
use keyward_proto::v1;

use crate::{
    policy::{IdentityChoice, Snapshot, VaultEntry, VaultId, identity::ChosenBy},
    vault::{credential::ManagedId, origin::Origin},
};

/// As it travels.
pub fn of_vault(id: &VaultId) -> v1::VaultKey {
    let cloud = match id.cloud {
        Cloud::AzurePublic => "AzurePublic",
        Cloud::AzureUSGovernment => "AzureUSGovernment",
        Cloud::AzureChina => "AzureChina",
        Cloud::AzureCustom => "AzureCustom",
    };
    v1::VaultKey { origin: id.origin.to_string(), cloud: cloud.to_owned(), identity: identity(&id.identity) }
}

/// The declaration that is meant, if there is one here.
pub fn to_vault(key: &v1::VaultKey, snapshot: &Snapshot) -> Option<Arc<VaultEntry>> {
    let origin = Origin::parse(&key.origin).ok()?;
    snapshot.usable_vaults().find(|vault| vault.origin == origin && of_vault(&vault.id) == *key)
}

/// Two identities are the same exactly when their words are: ids and names have neither spaces nor `=`, and what may have
/// some, a resource's id, comes last.
fn identity(IdentityChoice { tenant_id, by }: &IdentityChoice) -> String {
    let client = |id: &Option<String>| id.as_ref().map_or_else(String::new, |id| format!(" client={id}"));
    let tenant = tenant_id.as_ref().map_or_else(String::new, |id| format!(" tenant={id}"));
    match by {
        ChosenBy::Broker { client_id } => format!("broker{tenant}{}", client(client_id)),
        ChosenBy::WorkloadIdentity { client_id } => format!("workload{tenant}{}", client(client_id)),
        ChosenBy::ManagedIdentity(managed) => match managed {
            ManagedId::System => format!("managed{tenant}"),
            ManagedId::Client(id) => format!("managed{tenant} client={id}"),
            ManagedId::Object(id) => format!("managed{tenant} object={id}"),
            ManagedId::Resource(id) => format!("managed{tenant} resource={id}"),
        },
        ChosenBy::ClientSecret { client_id, secret_name } => {
            format!("secret{tenant} client={client_id} name={}", secret_name.as_str())
        }
        ChosenBy::ClientCertificate { client_id, secret_name } => {
            format!("certificate{tenant} client={client_id} name={}", secret_name.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::testing;

    fn declared(specs: &[&str]) -> Snapshot {
        let documents = specs.iter().enumerate().map(|(n, spec)| {
            format!(
                "---\napiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {{name: v{n}}}\nspec: {spec}\n"
            )
        });
        testing::snapshot(&documents.collect::<String>())
    }

    const SPECS: [&str; 10] = [
        "{vaultName: vault-a}",
        "{vaultName: vault-b}",
        "{vaultName: vault-c, cloud: AzureChina}",
        "{vaultName: vault-d, identity: {clientId: c}}",
        "{vaultName: vault-e, tenantId: t, identity: {type: WorkloadIdentity, clientId: c}}",
        "{vaultName: vault-f, identity: {type: ManagedIdentity}}",
        "{vaultName: vault-g, identity: {type: ManagedIdentity, objectId: c}}",
        "{vaultName: vault-h, identity: {type: ManagedIdentity, resourceId: /subscriptions/c}}",
        "{vaultName: vault-i, identity: {type: ClientSecret, clientId: c, secretName: s}}",
        "{vaultName: vault-j, identity: {type: ClientCertificate, clientId: c, secretName: s}}",
    ];

    #[test]
    fn every_vault_is_found_again_by_those_who_declare_it_as_it_is() {
        let snapshot = declared(&SPECS);
        let ids: Vec<_> = snapshot.usable_vaults().map(|vault| Arc::clone(&vault.id)).collect();
        assert_eq!(ids.len(), SPECS.len(), "{:?}", snapshot.problems());
        for id in &ids {
            assert_eq!(to_vault(&of_vault(id), &snapshot).unwrap().id, *id);
        }
        let words: HashSet<_> = ids.iter().map(|id| identity(&id.identity)).collect();
        assert_eq!(words.len(), SPECS.len() - 2, "three of them are read as the broker");
    }

    #[test]
    fn a_vault_that_is_declared_otherwise_or_not_at_all_is_not_found() {
        let asked = declared(&["{vaultName: acme, identity: {clientId: c}}"]);
        let key = of_vault(&asked.usable_vaults().next().unwrap().id);
        for other in [
            "{vaultName: acme}",
            "{vaultName: acme, identity: {clientId: other}}",
            "{vaultName: acme, identity: {type: WorkloadIdentity, clientId: c}}",
            "{vaultName: another, identity: {clientId: c}}",
            "{vaultName: acme, cloud: AzureChina, identity: {clientId: c}}",
        ] {
            assert!(to_vault(&key, &declared(&[other])).is_none(), "{other}");
        }
        assert!(to_vault(&v1::VaultKey { origin: "nonsense".to_owned(), ..key }, &asked).is_none());
    }
}
