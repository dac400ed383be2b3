//! What differs between Azure's clouds: DNS suffix, token audience, sign-in host.
//!
//! Source: <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes-for-object-identifiers>

use keyward_crds::azure_key_vault::Cloud;

const ALL: [Cloud; 3] = [Cloud::AzurePublic, Cloud::AzureUSGovernment, Cloud::AzureChina];

/// What follows a vault's name in its host.
pub fn dns_suffix(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::AzurePublic => "vault.azure.net",
        Cloud::AzureUSGovernment => "vault.usgovcloudapi.net",
        Cloud::AzureChina => "vault.azure.cn",
    }
}

/// The resource that a token for the cloud's vaults is issued for.
pub fn audience(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::AzurePublic => "https://vault.azure.net",
        Cloud::AzureUSGovernment => "https://vault.usgovcloudapi.net",
        Cloud::AzureChina => "https://vault.azure.cn",
    }
}

/// Where the cloud's identities sign in.
pub fn authority_host(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::AzurePublic => "https://login.microsoftonline.com",
        Cloud::AzureUSGovernment => "https://login.microsoftonline.us",
        Cloud::AzureChina => "https://login.chinacloudapi.cn",
    }
}

/// The cloud that a host belongs to by its suffix, whoever wrote it and whatever port follows.
pub fn of_host(host: &str) -> Option<Cloud> {
    ALL.into_iter().find(|cloud| {
        host.strip_suffix(dns_suffix(*cloud)).is_some_and(|front| front.is_empty() || front.ends_with('.'))
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
    fn a_vault_host_ends_with_its_audience_as_the_sdk_demands() {
        for cloud in ALL {
            assert_eq!(audience(cloud), format!("https://{}", dns_suffix(cloud)));
        }
    }
}
