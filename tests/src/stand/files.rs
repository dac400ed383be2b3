//! The files that a broker of a stand reads, and what it is told about them.

use std::{collections::BTreeMap, fs, path::Path};

use super::{CLIENT, StandError, TENANT, TRUST_DOMAIN};
use crate::{
    ca::TestCa,
    vault::{Emulator, ProjectedToken},
};

/// The files of a stand, below one directory.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    root: &'a Path,
}

impl<'a> Files<'a> {
    /// Those below `root`.
    pub fn below(root: &'a Path) -> Self {
        Self { root }
    }

    /// Writes certificates, and what signs in to `emulator`: `broker-tls`, whose certificate has `names` beside
    /// `localhost` and 127.0.0.1, `ROLE-tls` for each of `roles`, `ca.crt`, `emulator-ca.crt` and `federated-token`.
    pub fn prepare(
        &self,
        emulator: &Emulator,
        ca: &TestCa,
        names: &[String],
        roles: &[&str],
    ) -> Result<(), StandError> {
        let names: Vec<&str> = ["localhost", "127.0.0.1"].into_iter().chain(names.iter().map(String::as_str)).collect();
        ca.issue_server(&names)?.write_dir(&self.root.join("broker-tls"))?;
        for role in roles {
            ca.issue_role(role, TRUST_DOMAIN)?.write_dir(&self.root.join(format!("{role}-tls")))?;
        }
        self.write("ca.crt", &ca.cert_pem())?;
        self.sign_in(emulator)
    }

    /// Writes what signs in to `emulator`: `emulator-ca.crt` and `federated-token`.
    pub fn sign_in(&self, emulator: &Emulator) -> Result<(), StandError> {
        self.write("emulator-ca.crt", &emulator.ca_pem())?;
        let federated = ProjectedToken::for_pod("keyward", "keyward-broker", "keyward-broker-0")
            .audience("api://AzureADTokenExchange");
        self.write("federated-token", &emulator.projected_token(&federated)?)
    }

    /// Makes a directory.
    pub fn directory(&self, name: &str) -> Result<(), StandError> {
        let path = self.root.join(name);
        fs::create_dir_all(&path).map_err(|source| StandError::File { path, source })
    }

    /// Writes one, whole or not at all, so that nobody who looks now and then sees half a file.
    pub fn write(&self, name: &str, text: &str) -> Result<(), StandError> {
        let path = self.root.join(name);
        let part = self.root.join(".part");
        let written = fs::write(&part, text).and_then(|()| fs::rename(&part, &path));
        written.map_err(|source| StandError::File { path, source })
    }
}

/// What a broker is told that signs in to `emulator` and finds its files below `root`: `manifests`, `emulator-ca.crt`,
/// `federated-token`, and its certificates in `tls`.
pub fn broker_environment(root: &Path, tls: &str, emulator: &Emulator) -> BTreeMap<&'static str, String> {
    let path = |name: &str| root.join(name).display().to_string();
    BTreeMap::from([
        ("KEYWARD_LISTEN", "127.0.0.1:0".to_owned()),
        ("KEYWARD_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("KEYWARD_LOG_FORMAT", "json".to_owned()),
        ("KEYWARD_SOURCE", path("manifests")),
        ("KEYWARD_TLS_DIR", path(tls)),
        ("KEYWARD_TRUST_DOMAIN", TRUST_DOMAIN.to_owned()),
        ("KEYWARD_JWKS_ISSUER", emulator.issuer()),
        ("KEYWARD_JWKS_CA_FILE", path("emulator-ca.crt")),
        ("KEYWARD_AZURE_CA_FILE", path("emulator-ca.crt")),
        ("AZURE_AUTHORITY_HOST", emulator.authority()),
        ("AZURE_TENANT_ID", TENANT.to_owned()),
        ("AZURE_CLIENT_ID", CLIENT.to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", path("federated-token")),
    ])
}
