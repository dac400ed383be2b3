//! Builds the broker as it is shipped: alone, so that no other crate's features come into it, and optimised.

use std::{ffi::OsString, path::PathBuf, process::Stdio};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// Builds what is not built yet and returns where it is.
pub async fn broker() -> anyhow::Result<PathBuf> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    // What cargo says to the program it runs would make build scripts that look at it run again.
    let said = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_", "OUT_DIR"];
    for (name, _) in std::env::vars_os() {
        if said.iter().any(|said| name.as_encoded_bytes().starts_with(said.as_bytes())) {
            command.env_remove(name);
        }
    }
    command.args(["build", "--release", "--package", "keyward-broker", "--bin", "keyward-broker"]);
    command.arg("--message-format=json-render-diagnostics").current_dir(env!("CARGO_MANIFEST_DIR"));
    let built = command.stderr(Stdio::inherit()).output().await.context("cargo does not start")?;
    ensure!(built.status.success(), "cargo cannot build keyward-broker");
    let messages = built.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut executables =
        messages.filter_map(|message: serde_json::Value| Some(PathBuf::from(message["executable"].as_str()?)));
    executables.next_back().context("cargo built no keyward-broker")
}
