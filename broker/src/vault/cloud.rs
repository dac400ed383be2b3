//! What differs between Azure's clouds: DNS suffix, token audience, sign-in host.
//!
//! Source: <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes-for-object-identifiers>

use keyward_crds::azure_key_vault::Cloud;

/// Those whose names are known.
const ALL: [Cloud; 3] = [Cloud::AzurePublic, Cloud::AzureUSGovernment, Cloud::AzureChina];

/// What follows a vault's name in its host. A custom cloud's is a setting.
pub fn dns_suffix(cloud: Cloud) -> Option<&'static str> {
    match cloud {
        Cloud::AzurePublic => Some("vault.azure.net"),
        Cloud::AzureUSGovernment => Some("vault.usgovcloudapi.net"),
        Cloud::AzureChina => Some("vault.azure.cn"),
        Cloud::AzureCustom => None,
    }
}

/// The resource that a token for the cloud's vaults is issued for. A custom cloud's is a setting.
pub fn audience(cloud: Cloud) -> Option<&'static str> {
    match cloud {
        Cloud::AzurePublic => Some("https://vault.azure.net"),
        Cloud::AzureUSGovernment => Some("https://vault.usgovcloudapi.net"),
        Cloud::AzureChina => Some("https://vault.azure.cn"),
        Cloud::AzureCustom => None,
    }
}

/// Where the cloud's identities sign in. A custom cloud's is a setting.
pub fn authority_host(cloud: Cloud) -> Option<&'static str> {
    match cloud {
        Cloud::AzurePublic => Some("https://login.microsoftonline.com"),
        Cloud::AzureUSGovernment => Some("https://login.microsoftonline.us"),
        Cloud::AzureChina => Some("https://login.chinacloudapi.cn"),
        Cloud::AzureCustom => None,
    }
}

/// The cloud that a host belongs to by its suffix, whoever wrote it and whatever port follows.
pub fn of_host(host: &str) -> Option<Cloud> {
    ALL.into_iter().find(|cloud| {
        let front = dns_suffix(*cloud).and_then(|suffix| host.strip_suffix(suffix));
        front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_belongs_to_the_cloud_of_its_whole_suffix() {
        for (host, cloud) in [
            ("acme.vault.azure.net", Some(Cloud::AzurePublic)),
            ("acme.vault.usgovcloudapi.net", Some(Cloud::AzureUSGovernment)),
            ("acme.vault.azure.cn", Some(Cloud::AzureChina)),
            ("vault.azure.net", Some(Cloud::AzurePublic)),
            ("evilvault.azure.net", None),
            ("acme.vault.azure.net.evil.example", None),
            ("localhost", None),
        ] {
            assert_eq!(of_host(host), cloud, "{host}");
        }
    }

    #[test]
    fn nothing_is_guessed_of_a_custom_cloud() {
        let cloud = Cloud::AzureCustom;
        assert_eq!((dns_suffix(cloud), audience(cloud), authority_host(cloud)), (None, None, None));
    }

    #[test]
    fn a_vault_host_ends_with_its_audience_as_the_sdk_demands() {
        for cloud in ALL {
            assert_eq!(audience(cloud).unwrap(), format!("https://{}", dns_suffix(cloud).unwrap()));
        }
    }
}
