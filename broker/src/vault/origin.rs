//! A canonical origin: the key by which a vault is known to policy, cache and budget, and the only place its requests
//! may go. Pure.

use std::fmt;

use azure_core::http::Url;
use keyward_crds::azure_key_vault::Cloud;
use keyward_types::VaultName;

use crate::vault::cloud;

/// `https://HOST` or `https://HOST:PORT`: lower case, no port where it is 443. Equal exactly when the endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    text: String,
    port: Option<u16>,
}

const SCHEME: &str = "https://";

/// Why a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the URL of a vault or authority: {rule}; write https://HOST or https://HOST:PORT")]
pub struct InvalidOrigin {
    text: String,
    rule: &'static str,
}

impl Origin {
    /// The origin of a vault by its name and its cloud's suffix.
    pub fn of_vault(name: &VaultName, suffix: &str) -> Self {
        // A vault's name is lower-case ASCII without dots: with a suffix it is a canonical host.
        Self::at(&format!("{name}.{suffix}"), None)
    }

    /// Reads a URL that says nothing but an origin; one trailing `/` is accepted.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let refuse = |rule| InvalidOrigin { text: text.chars().take(128).flat_map(char::escape_debug).collect(), rule };
        let url = Url::parse(text).map_err(|_| refuse("it is no URL"))?;
        if url.scheme() != "https" {
            return Err(refuse("tokens are sent over https only"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it carries a user or password"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it carries a path, query or fragment"));
        }
        // The absolute form of a DNS name is another text for the same host, and would not be known as Azure's.
        let host =
            url.host_str().filter(|host| !host.ends_with('.')).ok_or_else(|| refuse("its host ends with `.`"))?;
        Ok(Self::at(host, url.port()))
    }

    fn at(host: &str, port: Option<u16>) -> Self {
        let text = port.map_or_else(|| format!("{SCHEME}{host}"), |port| format!("{SCHEME}{host}:{port}"));
        Self { text, port }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn host(&self) -> &str {
        let host = self.text.strip_prefix(SCHEME).unwrap_or_default();
        if self.port.is_some() { host.rsplit_once(':').map_or(host, |(host, _)| host) } else { host }
    }

    /// Whether `url` is at this origin.
    pub fn holds(&self, url: &Url) -> bool {
        url.scheme() == "https" && url.host_str() == Some(self.host()) && url.port() == self.port
    }

    /// The cloud it belongs to by its host's suffix.
    pub fn cloud(&self) -> Option<Cloud> {
        cloud::of_host(self.host())
    }

    /// Whether it belongs to one of Azure's clouds, where the SDK's own check of challenges must stay on.
    pub fn is_known_cloud(&self) -> bool {
        self.cloud().is_some()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_origin_becomes_one() {
        for (text, canonical) in [
            ("https://acme.vault.azure.net", "https://acme.vault.azure.net"),
            ("https://acme.vault.azure.net/", "https://acme.vault.azure.net"),
            ("HTTPS://ACME.Vault.Azure.NET:443/", "https://acme.vault.azure.net"),
            ("https://acme.vault.azure.net:8443", "https://acme.vault.azure.net:8443"),
            ("https://127.0.0.1:9443", "https://127.0.0.1:9443"),
            ("https://[::1]:9443", "https://[::1]:9443"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_https_origin_is_refused() {
        for text in [
            "",
            "acme",
            "http://acme.vault.azure.net",
            "ftp://acme.vault.azure.net",
            "https://user@acme.vault.azure.net",
            "https://:pw@acme.vault.azure.net",
            "https://acme.vault.azure.net/secrets",
            "https://acme.vault.azure.net/?a=b",
            "https://acme.vault.azure.net/#a",
            "https://acme.vault.azure.net.",
            "https://",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_vault_s_name_and_cloud_make_the_same_origin_as_its_url() {
        let name = VaultName::new("Acme").unwrap();
        for cloud in [Cloud::AzurePublic, Cloud::AzureUSGovernment, Cloud::AzureChina] {
            let origin = Origin::of_vault(&name, cloud::dns_suffix(cloud).unwrap());
            assert_eq!(Origin::parse(&origin.to_string()), Ok(origin.clone()));
            assert_eq!(origin.cloud(), Some(cloud));
        }
    }

    #[test]
    fn only_urls_of_the_origin_are_held() {
        let plain = Origin::parse("https://acme.vault.azure.net").unwrap();
        let port = Origin::parse("https://localhost:9443").unwrap();
        for (origin, url, held) in [
            (&plain, "https://acme.vault.azure.net/secrets?x", true),
            (&plain, "https://ACME.vault.azure.net:443/secrets", true),
            (&plain, "http://acme.vault.azure.net/secrets", false),
            (&plain, "https://acme.vault.azure.net:8443/", false),
            (&plain, "https://acme.vault.azure.net@evil.example/", false),
            (&plain, "https://evil.example/acme.vault.azure.net", false),
            (&port, "https://localhost:9443/", true),
            (&port, "https://localhost/", false),
            (&port, "https://localhost:9444/", false),
        ] {
            assert_eq!(origin.holds(&Url::parse(url).unwrap()), held, "{url}");
        }
    }

    #[test]
    fn another_port_does_not_hide_a_known_cloud() {
        assert!(Origin::parse("https://acme.vault.azure.net:8443").unwrap().is_known_cloud());
        assert!(!Origin::parse("https://acme.vault.test").unwrap().is_known_cloud());
    }
}
