//! Keyward's charts, installed by helm itself.

use std::fs;

use anyhow::{Context as _, ensure};
use keyward_tests::ca::TestCa;
use serde_json::json;
use tokio::process::Command;

use super::account::NAMESPACE;
use crate::cluster::repository;

/// The pull secrets that the webhook may read.
pub const PULL_SECRET: &str = "pull";

/// Installs the custom resources, and then who may do what.
pub(super) async fn install(ca: &TestCa) -> anyhow::Result<()> {
    let values = tempfile::NamedTempFile::new()?;
    let webhook = json!({"enabled": true, "caBundle": ca.cert_pem(), "pullSecrets": {"names": [PULL_SECRET]}});
    fs::write(values.path(), json!({"webhook": webhook}).to_string())?;
    for chart in ["keyward-crds", "keyward"] {
        let mut helm = Command::new("helm");
        helm.args(["upgrade", "--install", chart, &format!("charts/{chart}")])
            .args(["--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "60s"])
            .current_dir(repository());
        if chart == "keyward" {
            helm.arg("--values").arg(values.path());
        }
        let output = helm.output().await.context("helm does not start")?;
        ensure!(output.status.success(), "helm: {chart}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
