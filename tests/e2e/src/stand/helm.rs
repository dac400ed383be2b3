//! Keyward's charts, installed by helm itself.

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use super::account::NAMESPACE;
use crate::cluster::repository;

/// Installs the custom resources, and then who may do what.
pub(super) async fn install() -> anyhow::Result<()> {
    for chart in ["keyward-crds", "keyward"] {
        let mut helm = Command::new("helm");
        helm.args(["upgrade", "--install", chart, &format!("charts/{chart}")])
            .args(["--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "60s"])
            .current_dir(repository());
        let output = helm.output().await.context("helm does not start")?;
        ensure!(output.status.success(), "helm: {chart}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
