//! The script `tests/cluster/cluster`, called: from outside to start and stop the cluster, from inside to reach its parts.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// Set inside the cluster's namespaces, to the cluster's folder.
const INSIDE: &str = "KEYWARD_CLUSTER_INSIDE";

/// A cluster by its folder.
#[derive(Clone, Debug)]
pub struct Cluster {
    script: PathBuf,
    state: PathBuf,
}

/// Why the script did not do it. What it said is on standard error.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It does not start.
    #[error("{script}: {source}", script = script.display())]
    Start {
        /// The script.
        script: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It failed.
    #[error("tests/cluster/cluster {command}: {status}")]
    Failed {
        /// What it was asked to do.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
}

impl Cluster {
    /// The one that keeps its files in `directory/cluster`.
    pub fn below(directory: &Path) -> Self {
        Self { script: repository().join("tests/cluster/cluster"), state: directory.join("cluster") }
    }

    /// Whether this process runs in the namespaces of one.
    pub fn is_around_us() -> bool {
        std::env::var_os(INSIDE).is_some()
    }

    /// The folder that it keeps its files in.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The script with `arguments`, which is yet to be started. Standard output is the caller's to use.
    pub fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(&self.script);
        command.args(arguments).env("KEYWARD_CLUSTER_STATE", &self.state).stdin(Stdio::null());
        command
    }

    /// Runs the script with `arguments` to its end.
    pub fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Result<(), ClusterError> {
        self.succeeds(self.command(arguments), arguments)
    }

    /// Whether it runs.
    pub fn is_up(&self) -> Result<bool, ClusterError> {
        let mut status = self.command(&["status"]);
        let status = status.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.map(|status| status.success()).map_err(|source| self.unstarted(source))
    }

    /// Kills one component, such as `kube-apiserver`.
    pub fn stop(&self, component: &str) -> Result<(), ClusterError> {
        self.run(&["stop", component])
    }

    /// Starts one that was killed; the API server answers when this returns.
    pub fn start(&self, component: &str) -> Result<(), ClusterError> {
        self.run(&["start", component])
    }

    /// Halts one: it keeps its connections and does not answer.
    pub fn pause(&self, component: &str) -> Result<(), ClusterError> {
        self.run(&["pause", component])
    }

    /// Lets one go on that was halted.
    pub fn resume(&self, component: &str) -> Result<(), ClusterError> {
        self.run(&["resume", component])
    }

    fn succeeds(&self, mut command: Command, arguments: &[impl AsRef<OsStr>]) -> Result<(), ClusterError> {
        let status = command.stdout(Stdio::null()).status().map_err(|source| self.unstarted(source))?;
        if status.success() {
            return Ok(());
        }
        let words: Vec<_> = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        Err(ClusterError::Failed { command: words.join(" "), status })
    }

    fn unstarted(&self, source: io::Error) -> ClusterError {
        ClusterError::Start { script: self.script.clone(), source }
    }
}

/// The clone that this was built from.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
}
