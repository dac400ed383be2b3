//! The broker under the benchmark: a vault with as many secrets as a request has references, and manifests that let
//! one namespace read them.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::process::Command;

use super::{child::Server, echo::Payload};
use crate::{
    ca::TestCa,
    process::MARKER,
    stand::{CLIENT, broker_environment},
    vault::{Emulator, ProjectedToken},
};

/// The broker's process and what it needs.
pub struct Broker {
    /// Its vault, in this process.
    pub emulator: Emulator,
    /// Itself.
    pub server: Server,
    ca: TestCa,
    files: TempDir,
}

/// What the reference is called whose place in the request is `n`.
pub fn reference_name(n: usize) -> String {
    format!("secret-{n}")
}

impl Broker {
    /// Starts `program` with a vault that holds `payload`.
    pub async fn start(program: &Path, payload: Payload) -> anyhow::Result<Self> {
        let emulator = Emulator::builder().objects_yaml(&objects(payload)?).start().await?;
        let (files, ca) = (tempfile::tempdir()?, TestCa::new("Keyward benchmark CA")?);
        prepare(files.path(), &emulator, &ca, payload)?;
        let mut command = Command::new(program);
        command.arg("serve").env_clear().envs(broker_environment(files.path(), "tls", &emulator));
        // One pod, or one webhook, stands for thousands: what is measured is the work and not the bound on it.
        command.env("KEYWARD_REQUESTS_PER_POD", "1000000").env("KEYWARD_REQUESTS_PER_ROLE", "1000000");
        let server = Server::start("keyward-broker", &mut command).await?;
        Ok(Self { emulator, server, ca, files })
    }

    /// Its certificate's directory.
    pub fn tls_dir(&self) -> PathBuf {
        self.files.path().join("tls")
    }

    /// What signed its certificate, and signs those of roles.
    pub fn ca(&self) -> &TestCa {
        &self.ca
    }

    /// What vouches for its certificate.
    pub fn ca_pem(&self) -> String {
        self.ca.cert_pem()
    }

    /// A pod's token that outlives every run.
    pub fn token(&self) -> anyhow::Result<String> {
        Ok(self.emulator.projected_token(&ProjectedToken::for_pod("shop", "checkout", "checkout-1"))?)
    }
}

fn objects(Payload { values, bytes }: Payload) -> anyhow::Result<String> {
    let mut yaml = "vaults:\n  acme:\n    secrets:\n".to_owned();
    for n in 0..values {
        writeln!(yaml, "      {}: {{value: {}}}", reference_name(n), value(n, bytes))?;
    }
    writeln!(yaml, "identities:\n  - clientId: {CLIENT}")?;
    writeln!(yaml, "    federatedSubjects: [\"system:serviceaccount:keyward:keyward-broker\"]")?;
    Ok(yaml)
}

/// `bytes` of text that begins with the marker.
fn value(n: usize, bytes: usize) -> String {
    let mut value = format!("{MARKER}-{n}-");
    value.extend(std::iter::repeat_n('x', bytes.saturating_sub(value.len())));
    value
}

/// An hour between looks: none falls into the measured rounds.
fn manifests(Payload { values, .. }: Payload, emulator: &Emulator) -> anyhow::Result<String> {
    let url = emulator.vault_url("acme");
    let mut yaml = format!(
        "apiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {{name: acme}}\n\
         spec: {{vaultName: acme, url: '{url}', pollInterval: 1h, namespaces: {{names: [shop]}}}}\n"
    );
    for name in (0..values).map(reference_name) {
        write!(
            yaml,
            "---\napiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\n\
             metadata: {{name: {name}, namespace: shop}}\n\
             spec: {{vault: {{name: acme, object: {{name: {name}, type: secret}}}}}}\n"
        )?;
    }
    Ok(yaml)
}

fn prepare(root: &Path, emulator: &Emulator, ca: &TestCa, payload: Payload) -> anyhow::Result<()> {
    ca.issue_server(&["localhost", "127.0.0.1"])?.write_dir(&root.join("tls"))?;
    let federated =
        ProjectedToken::for_pod("keyward", "keyward-broker", "keyward-broker-0").audience("api://AzureADTokenExchange");
    fs::create_dir(root.join("manifests"))?;
    for (name, text) in [
        ("manifests/all.yaml", manifests(payload, emulator)?),
        ("emulator-ca.crt", emulator.ca_pem()),
        ("federated-token", emulator.projected_token(&federated)?),
    ] {
        fs::write(root.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}
