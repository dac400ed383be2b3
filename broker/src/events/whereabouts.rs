//! The vault that an event names → the one that is declared. Pure.
//!
//! An event names its vault up to three times: by the object's URL, by name, and by its resource in Azure. The origin of
//! the URL says it best; a vault whose declaration gives another URL, such as a private endpoint's, is found by its name.

use std::sync::Arc;

use azure_core::http::Url;
use keyward_types::VaultName;

use super::data::Data;
use crate::{
    policy::{Declared, Snapshot, VaultEntry},
    vault::origin::Origin,
};

/// A vault as an event names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The origin of the object's URL.
    pub origin: Option<Origin>,
    /// Its name.
    pub name: Option<VaultName>,
}

/// Reads what an event with this `data` and this topic or source says.
pub(super) fn named(data: &Data, topic: Option<&str>) -> Named {
    let origin = data.id.as_deref().and_then(|id| Url::parse(id).ok());
    let origin = origin.and_then(|url| Origin::parse(&url.origin().ascii_serialization()).ok());
    // /subscriptions/…/resourceGroups/…/providers/Microsoft.KeyVault/vaults/NAME
    let resource = topic.and_then(|topic| topic.trim_end_matches('/').rsplit_once('/')).map(|(_, name)| name);
    let names = [data.vault_name.as_deref(), resource];
    let name = names.into_iter().flatten().find_map(|name| VaultName::new(name).ok());
    Named { origin, name }
}

/// The vault's declaration, where it holds.
pub(super) fn declared<'a>(snapshot: &'a Snapshot, Named { origin, name }: &Named) -> Option<&'a Arc<VaultEntry>> {
    let there = origin.as_ref().and_then(|origin| snapshot.vault_at(origin));
    there.or_else(|| match snapshot.vault(name.as_ref()?)? {
        Declared::Valid(entry) => Some(entry),
        Declared::Invalid(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        manifests,
        policy::{DefaultAccess, testing::defaults},
    };

    const RESOURCE: &str = "/subscriptions/1/resourceGroups/g/providers/Microsoft.KeyVault/vaults/acme";

    fn snapshot() -> Snapshot {
        let vault = |name: &str, spec: &str| {
            format!(
                "---\napiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
            )
        };
        let text = [
            vault("plain", "vaultName: acme"),
            vault("private", "vaultName: inner, url: 'https://inner.example:8443'"),
            vault("broken", "vaultName: broken, pollInterval: soon"),
        ];
        Snapshot::build(defaults(DefaultAccess::Allow), manifests::read("f", &text.concat()))
    }

    fn found(data: &Data, topic: Option<&str>) -> Option<String> {
        declared(&snapshot(), &named(data, topic)).map(|vault| vault.origin.to_string())
    }

    #[test]
    fn a_vault_is_found_by_url_by_name_and_by_resource() {
        let data = |id: &str, name: &str| {
            let own = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            Data { id: own(id), vault_name: own(name), ..Data::default() }
        };
        let acme = Some("https://acme.vault.azure.net".to_owned());
        let inner = Some("https://inner.example:8443".to_owned());
        for (data, topic, expected) in [
            (data("https://acme.vault.azure.net/secrets/db/1", ""), None, &acme),
            (data("https://ACME.vault.azure.net:443/secrets/db/1", "other"), None, &acme),
            (data("", "Acme"), None, &acme),
            (data("", ""), Some(RESOURCE), &acme),
            (data("", "no name"), Some(RESOURCE), &acme),
            (data("https://inner.vault.azure.net/secrets/db/1", "inner"), None, &inner),
            (data("https://other.vault.azure.net/secrets/db/1", "other"), Some(RESOURCE), &None),
            (data("", "broken"), None, &None),
            (data("http://acme.vault.azure.net/secrets/db/1", ""), None, &None),
            (data("", ""), Some("acme"), &None),
            (data("", ""), None, &None),
        ] {
            assert_eq!(found(&data, topic), *expected, "{topic:?}");
        }
    }
}
