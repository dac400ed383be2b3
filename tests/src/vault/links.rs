//! The URLs in answers, on the host the request named: that way they work whichever name a client used.

use axum::http::{HeaderMap, header};

use super::errors::Refusal;
use super::names::Collection;

/// The origin of a request.
#[derive(Clone, Debug)]
pub(super) struct Links {
    host: String,
}

impl Links {
    /// From the `Host` header.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(Refusal::bad_parameter("The request needs a Host header that names a host."));
        }
        Ok(Self { host: host.to_owned() })
    }

    /// The first label of a name such as `acme.vault.test`; none for `localhost` and addresses.
    pub(super) fn vault_label(&self) -> Option<&str> {
        let (label, rest) = self.host.split_once('.')?;
        rest.starts_with(|first: char| first.is_ascii_alphabetic()).then_some(label)
    }

    /// An object, whichever its version.
    pub(super) fn object(&self, collection: Collection, name: &str) -> String {
        format!("https://{}/{}/{name}", self.host, collection.path())
    }

    /// One version of an object.
    pub(super) fn version(&self, collection: Collection, name: &str, version: &str) -> String {
        format!("{}/{version}", self.object(collection, name))
    }

    /// A deleted object.
    pub(super) fn deleted(&self, collection: Collection, name: &str) -> String {
        format!("https://{}/{}/{name}", self.host, collection.deleted_path())
    }

    /// What a `nextLink` starts with: the port is always there, as Key Vault's own has `:443`.
    pub(super) fn list(&self, path: &str) -> String {
        let last = self.host.rsplit(']').next().unwrap_or_default();
        let port = if last.contains(':') { "" } else { ":443" };
        format!("https://{}{port}/{path}", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(host: &str) -> Links {
        Links::of(&HeaderMap::from_iter([(header::HOST, host.parse().unwrap())])).unwrap()
    }

    #[test]
    fn only_dotted_names_may_name_a_vault() {
        for (host, label) in [
            ("acme.vault.test:9443", Some("acme")),
            ("ACME.vault.azure.net", Some("ACME")),
            ("localhost:9443", None),
            ("127.0.0.1:9443", None),
            ("[::1]:9443", None),
        ] {
            assert_eq!(links(host).vault_label(), label, "{host}");
        }
    }

    #[test]
    fn next_links_always_carry_a_port() {
        for (host, list) in [
            ("acme.vault.azure.net", "https://acme.vault.azure.net:443/secrets"),
            ("localhost:9443", "https://localhost:9443/secrets"),
            ("[::1]:9443", "https://[::1]:9443/secrets"),
            ("[::1]", "https://[::1]:443/secrets"),
        ] {
            assert_eq!(links(host).list("secrets"), list);
        }
    }

    #[test]
    fn a_host_that_is_none_is_refused() {
        assert!(Links::of(&HeaderMap::new()).is_err());
        let odd = HeaderMap::from_iter([(header::HOST, "a/b".parse().unwrap())]);
        assert!(Links::of(&odd).is_err());
    }
}
