//! Whole launchers, as pods start them: what they print when they fail is the reason.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
};

use anyhow::ensure;
use tokio::process::Command;

use super::{load::Caller, scene};
use crate::process::without_values;

/// A pod that starts again and again.
pub(super) struct Launcher {
    pub(super) program: PathBuf,
    pub(super) broker: String,
    /// The projected file.
    pub(super) authority: PathBuf,
    pub(super) token: PathBuf,
}

impl Caller for Launcher {
    async fn call(&mut self, _: usize) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["exec", "--", "/bin/sh", "-c", r#"[ "$DB" = "$EXPECTED" ]"#]);
        command
            .env_clear()
            .envs([("DB", format!("{}@azurekeyvault", scene::reference(0))), ("EXPECTED", scene::value(0))]);
        command.env("KEYWARD_BROKER", &self.broker).env("KEYWARD_CA_FILE", &self.authority);
        command.env("KEYWARD_TOKEN_FILE", &self.token).env("KEYWARD_DEADLINE", "5s");
        let Output { status, stderr, .. } = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
        let said = String::from_utf8_lossy(&stderr);
        ensure!(status.success(), "{status}: {}", without_values(said.trim()));
        Ok(())
    }
}
