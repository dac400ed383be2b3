//! Builds the broker as it is shipped: alone, so that no other crate's features come into it, and optimised.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::programs::cargo_build;

const BROKER: &str = "keyward-broker";

/// Builds what is not built yet and returns where it is.
pub async fn broker() -> anyhow::Result<PathBuf> {
    let build = || cargo_build(&["--release", "--package", BROKER, "--bin", BROKER]);
    let mut programs = tokio::task::spawn_blocking(build).await.context("the build did not end")??;
    programs.remove(BROKER).context("cargo built no keyward-broker")
}
