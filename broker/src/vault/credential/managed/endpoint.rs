//! Where managed identities' tokens come from: addresses that cannot be left for another machine's. Pure.

use azure_core::http::Url;
use keyward_types::SecretBytes;
use url::Host;

use crate::vault::credential::ManagedEndpoint;

/// The instance metadata service's well-known address.
pub const IMDS: &str = "http://169.254.169.254";

/// Why an address serves no managed identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no endpoint of managed identities: {rule}")]
pub struct InvalidEndpoint {
    text: String,
    rule: &'static str,
}

/// The instance metadata service, at `base` (scheme, host and port) or where it always is.
pub fn imds(base: Option<&str>) -> Result<ManagedEndpoint, InvalidEndpoint> {
    let text = base.unwrap_or(IMDS);
    let mut url = local(text)?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err(refuse(text, "write scheme, host and port only"));
    }
    url.set_path("/metadata/identity/oauth2/token");
    Ok(ManagedEndpoint::Imds(url))
}

/// App Service's, by its two variables.
pub fn app_service(endpoint: &str, header: SecretBytes) -> Result<ManagedEndpoint, InvalidEndpoint> {
    let url = local(endpoint)?;
    if header.is_empty() || !header.expose().iter().all(u8::is_ascii_graphic) {
        return Err(refuse(endpoint, "the identity header beside it is empty or not printable"));
    }
    Ok(ManagedEndpoint::AppService { url, header })
}

/// In plain text a token may be fetched from this machine and its host only.
fn local(text: &str) -> Result<Url, InvalidEndpoint> {
    let url = Url::parse(text).map_err(|_| refuse(text, "it is no URL"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(refuse(text, "it carries a user, password or fragment"));
    }
    let near = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unicast_link_local(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if near => Ok(url),
        _ => Err(refuse(text, "http is for loopback and link-local addresses only")),
    }
}

fn refuse(text: &str, rule: &'static str) -> InvalidEndpoint {
    InvalidEndpoint { text: text.chars().take(128).flat_map(char::escape_debug).collect(), rule }
}

impl ManagedEndpoint {
    /// For people.
    pub(super) fn shown(&self) -> String {
        let (Self::Imds(url) | Self::AppService { url, .. }) = self;
        let name = if matches!(self, Self::Imds(_)) { "the instance metadata service" } else { "App Service" };
        format!("{name} at {}", url.origin().ascii_serialization())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_fetched_in_plain_text_from_near_only() {
        for (url, accepted) in [
            ("http://169.254.169.254", true),
            ("http://169.254.169.254/", true),
            ("http://127.0.0.1:8080", true),
            ("http://localhost:42356", true),
            ("http://[::1]:80", true),
            ("http://[fe80::1]", true),
            ("https://identity.example", true),
            ("http://10.0.0.1", false),
            ("http://identity.example", false),
            ("http://localhost.evil.example", false),
            ("http://169.254.169.254.evil.example", false),
            ("http://user@127.0.0.1", false),
            ("ftp://127.0.0.1", false),
            ("127.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(imds(Some(url)).is_ok(), accepted, "{url}");
            assert_eq!(app_service(url, "header".into()).is_ok(), accepted, "{url}");
        }
    }

    #[test]
    fn the_metadata_service_has_a_path_of_its_own_and_app_service_one_that_is_given() {
        assert!(imds(Some("http://127.0.0.1/msi/token")).is_err());
        assert!(imds(Some("http://127.0.0.1/?a")).is_err());
        assert!(app_service("http://127.0.0.1/msi/token", "header".into()).is_ok());
        for header in ["", "a\nb"] {
            let error = app_service("http://127.0.0.1/msi/token", header.into()).unwrap_err().to_string();
            assert!(error.contains("identity header"), "{error}");
        }
    }
}
