//! kubectl itself, as people use it.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// What it printed.
#[derive(Debug)]
pub struct Printed {
    /// Standard output.
    pub stdout: String,
    /// Standard error: warnings.
    pub stderr: String,
}

/// Runs it as the cluster's administrator. An error holds what it said.
pub async fn kubectl(arguments: &[&str], input: &str) -> anyhow::Result<Printed> {
    let mut command = Command::new("kubectl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("kubectl does not start")?;
    let mut stdin = child.stdin.take().context("kubectl without input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    ensure!(output.status.success(), "kubectl {}: {stderr}", arguments.join(" "));
    Ok(Printed { stdout, stderr })
}
