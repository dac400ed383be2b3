//! A process of the stand. What it printed is written to a file when it ends, without the lines that hold a value.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, ensure};
use keyward_tests::process::{Process, Signal, is_secret};
use tokio::process::Command;

/// How many were started, so that each has a file of its own.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// A process that serves.
pub struct Service {
    name: String,
    process: Process,
    log: PathBuf,
}

impl Service {
    /// Starts `program` with nothing else in its environment.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: &[&str],
        environment: BTreeMap<&'static str, String>,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(environment).stdin(Stdio::null());
        let process = Process::spawn(name, &mut command)?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        Ok(Self { name: name.to_owned(), process, log: logs.join(format!("{number:03}-{name}.log")) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process, to be watched.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Everything it has printed.
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Ends it as a crash of its machine would.
    pub async fn kill(self) -> anyhow::Result<()> {
        self.end(Signal::KILL).await
    }

    /// Asks it to end, and waits for that.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.end(Signal::TERM).await
    }

    async fn end(mut self, signal: Signal) -> anyhow::Result<()> {
        self.process.signal(signal)?;
        let status = self.process.ended().await?;
        ensure!(signal == Signal::KILL || status.success(), "{} ended with {status}", self.name);
        ensure!(!self.process.leaked(), "{} printed a value", self.name);
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Where the file cannot be written there is nobody to tell.
        let _ = fs::write(&self.log, self.process.shown());
    }
}

/// An error where a file below `directory`, which exists, holds a value or a token.
pub(crate) fn no_value_below(directory: &Path) -> anyhow::Result<()> {
    no_value_in(fs::read_dir(directory).with_context(|| directory.display().to_string())?)
}

/// What lies below may go while it is looked at, with its pod.
fn no_value_in(entries: fs::ReadDir) -> anyhow::Result<()> {
    for entry in entries.flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
            fs::read_dir(&path).map_or(Ok(()), no_value_in)?;
        } else if kind.is_ok_and(|kind| kind.is_file()) {
            let text = fs::read(&path).unwrap_or_default();
            ensure!(!is_secret(&String::from_utf8_lossy(&text)), "{} holds a value", path.display());
        }
    }
    Ok(())
}
