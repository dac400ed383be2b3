//! Where everything is: for people, and for programs that read `endpoints.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// All URLs of a running emulator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// Vaults by name.
    pub vaults: BTreeMap<String, String>,
    /// Entra: what `AZURE_AUTHORITY_HOST` is to hold.
    pub authority: String,
    /// The cluster's token issuer.
    pub issuer: String,
    /// Its keys.
    pub jwks: String,
    /// Where it issues projected tokens.
    pub projected_token: String,
    /// Control API, IMDS and App Service.
    pub http: String,
    /// What `IDENTITY_ENDPOINT` is to hold for App Service managed identity.
    pub identity_endpoint: String,
    /// What `IDENTITY_HEADER` is to hold.
    pub identity_header: String,
    /// IMDS at an address of its own, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imds: Option<String>,
}

/// Addresses bound.
pub(super) struct Bound {
    pub(super) vaults: BTreeMap<String, SocketAddr>,
    pub(super) identity: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) imds: Option<SocketAddr>,
}

impl Endpoints {
    pub(super) fn new(bound: &Bound, identity_header: &str) -> Self {
        let vaults = bound.vaults.iter().map(|(name, address)| (name.clone(), https(*address))).collect();
        let identity = https(bound.identity);
        let http = format!("http://{}", bound.http);
        Self {
            vaults,
            authority: identity.clone(),
            issuer: identity.clone(),
            jwks: format!("{identity}/openid/v1/jwks"),
            projected_token: format!("{identity}/projected-token"),
            identity_endpoint: format!("{http}/msi/token"),
            http,
            identity_header: identity_header.to_owned(),
            imds: bound.imds.map(|address| format!("http://{address}/metadata/identity/oauth2/token")),
        }
    }

    /// Writes `ca.pem` and `endpoints.json`.
    pub fn write_dir(&self, dir: &Path, ca_pem: &str) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("ca.pem"), ca_pem)?;
        // Last, and whole at once: who waits for this file may read both.
        let part = dir.join("endpoints.json.part");
        fs::write(&part, format!("{}\n", serde_json::to_string_pretty(self).map_err(io::Error::other)?))?;
        fs::rename(part, dir.join("endpoints.json"))
    }
}

/// Certificates name `localhost`; clients that reach another address need that address.
fn https(address: SocketAddr) -> String {
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        format!("https://localhost:{}", address.port())
    } else {
        format!("https://{address}")
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |what: &str, where_: &str| writeln!(f, "{what:<28}{where_}");
        for (name, url) in &self.vaults {
            row(&format!("vault {name}"), url)?;
        }
        row("Entra", &self.authority)?;
        row("cluster token issuer", &self.issuer)?;
        row("projected tokens (POST)", &self.projected_token)?;
        row("App Service identity", &self.identity_endpoint)?;
        row("IMDS", self.imds.as_deref().unwrap_or(&format!("{}/metadata/identity/oauth2/token", self.http)))?;
        row("control API, no auth", &self.http)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(vault: &str) -> Bound {
        Bound {
            vaults: BTreeMap::from([("acme".to_owned(), vault.parse().unwrap())]),
            identity: "127.0.0.1:2".parse().unwrap(),
            http: "127.0.0.1:3".parse().unwrap(),
            imds: None,
        }
    }

    #[test]
    fn loopback_is_called_localhost_and_other_addresses_by_number() {
        for (address, url) in [
            ("127.0.0.1:1", "https://localhost:1"),
            ("[::1]:1", "https://localhost:1"),
            ("10.0.0.1:1", "https://10.0.0.1:1"),
        ] {
            assert_eq!(Endpoints::new(&bound(address), "h").vaults["acme"], url);
        }
    }

    #[test]
    fn the_written_file_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let endpoints = Endpoints::new(&bound("127.0.0.1:1"), "h");
        endpoints.write_dir(dir.path(), "pem").unwrap();
        let text = fs::read_to_string(dir.path().join("endpoints.json")).unwrap();
        assert_eq!(serde_json::from_str::<Endpoints>(&text).unwrap(), endpoints);
        assert_eq!(fs::read_to_string(dir.path().join("ca.pem")).unwrap(), "pem");
    }
}
