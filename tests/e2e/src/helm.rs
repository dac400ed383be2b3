//! helm itself, as people use it.

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::cluster::repository;

/// Runs it in the repository's root, so that charts are named as the documentation names them. An error holds what it said.
pub async fn helm(arguments: &[&str]) -> anyhow::Result<String> {
    let mut helm = Command::new("helm");
    helm.args(arguments).current_dir(repository()).kill_on_drop(true);
    let output = helm.output().await.context("helm does not start")?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "helm {}: {said}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
