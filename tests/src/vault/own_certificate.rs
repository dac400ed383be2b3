//! What the emulator serves TLS with.

use std::net::IpAddr;
use std::path::Path;

use crate::ca::{CaError, Issued, TestCa};

/// The names that clients reach it by without help from outside.
const NAMES: [&str; 6] = ["localhost", "127.0.0.1", "::1", "*.vault.test", "*.vault.azure.net", "login.vault.test"];

/// The certificate of a directory, where there is one; else a new one of a new authority.
pub(super) fn own_certificate(given: Option<&Path>, listen: IpAddr) -> Result<Issued, CaError> {
    if let Some(directory) = given {
        return Issued::read_dir(directory);
    }
    let address = listen.to_string();
    let mut names = NAMES.to_vec();
    if !names.contains(&address.as_str()) {
        names.push(&address);
    }
    TestCa::new("Keyward emulator CA")?.issue_server(&names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Emulator;

    #[tokio::test]
    async fn who_trusts_a_given_authority_believes_every_emulator_that_starts_with_its_certificate() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = TestCa::new("given").unwrap();
        let directory = tempfile::tempdir().unwrap();
        ca.issue_server(&["localhost"]).unwrap().write_dir(directory.path()).unwrap();
        let authority = reqwest::Certificate::from_pem(ca.cert_pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
        for _ in 0..2 {
            let builder = Emulator::builder().objects_yaml("vaults: {acme: {}}").tls_dir(directory.path());
            let emulator = builder.start().await.unwrap();
            assert_eq!(emulator.ca_pem(), ca.cert_pem());
            let answer = client.get(emulator.vault_url("acme")).send().await.unwrap();
            assert_eq!(answer.status(), reqwest::StatusCode::UNAUTHORIZED);
            emulator.shutdown().await;
        }
    }

    #[tokio::test]
    async fn a_directory_without_a_certificate_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = Emulator::builder().tls_dir(directory.path()).start().await.err().unwrap().to_string();
        assert!(error.contains("tls.crt") && error.contains(&directory.path().display().to_string()), "{error}");
    }
}
