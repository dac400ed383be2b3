//! The vaults of the stand, and which namespaces they admit: those with a label that says so.
//!
//! | vault | declared | admits |
//! |---|---|---|
//! | `acme`, `partner` | yes, polled each second | namespaces that [`admits`] labels |
//! | `load-0` … | yes, at default settings | namespaces that [`admits`] labels |
//! | `sealed` | yes | nobody |
//! | `undeclared` | no | nobody |

use std::fmt::Write as _;

use keyward_tests::{stand::CLIENT, vault::Emulator};
use kube::Client;

use crate::manifests::{self, Kinds};

/// Vaults at default settings, for tests with many objects: `load-0` to `load-7`.
pub const LOAD_VAULTS: usize = 8;

/// The label that has a vault admit a namespace.
pub fn admits(vault: &str) -> (String, String) {
    (format!("e2e.keyward.dev/{vault}"), "admitted".to_owned())
}

fn load_vaults() -> impl Iterator<Item = String> {
    (0..LOAD_VAULTS).map(|number| format!("load-{number}"))
}

/// The emulator's vaults, empty, and the broker's identity.
pub(super) fn objects() -> String {
    let mut yaml = "vaults:\n".to_owned();
    for vault in ["acme", "partner", "sealed", "undeclared"].map(str::to_owned).into_iter().chain(load_vaults()) {
        let _ = writeln!(yaml, "  {vault}: {{}}");
    }
    let _ = writeln!(yaml, "identities:\n  - clientId: {CLIENT}");
    let _ = writeln!(yaml, "    federatedSubjects: [\"system:serviceaccount:keyward:keyward-broker\"]");
    yaml
}

/// Declares the vaults to the cluster.
pub(super) async fn apply(client: &Client, kinds: &Kinds, emulator: &Emulator) -> anyhow::Result<()> {
    let polled = ["acme", "partner"].map(|vault| declaration(emulator, vault, &admitted(vault), ", pollInterval: 1s"));
    let load = load_vaults().map(|vault| declaration(emulator, &vault, &admitted(&vault), ""));
    let sealed = declaration(emulator, "sealed", "{}", "");
    for text in polled.into_iter().chain(load).chain([sealed]) {
        for object in manifests::documents(&text)? {
            kinds.apply(client, &object).await?;
        }
    }
    Ok(())
}

fn admitted(vault: &str) -> String {
    let (label, value) = admits(vault);
    format!("{{selector: {{matchLabels: {{{label}: {value}}}}}}}")
}

fn declaration(emulator: &Emulator, vault: &str, namespaces: &str, more: &str) -> String {
    let url = emulator.vault_url(vault);
    format!(
        "apiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {{name: {vault}}}\n\
         spec: {{vaultName: {vault}, url: '{url}', namespaces: {namespaces}{more}}}\n"
    )
}
