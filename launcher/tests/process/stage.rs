//! What every test needs: a broker that answers from a script, the files of an injected pod, and a launcher to start.

#![allow(clippy::unwrap_used, reason = "clippy sees a test only in a function marked as one")]

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use keyward_stand_in::{Authority, Call, StandIn};
use tempfile::TempDir;
use tonic::Status;

pub(crate) type Answer = Result<Vec<Vec<u8>>, Status>;

pub(crate) const LAUNCHER: &str = env!("CARGO_BIN_EXE_keyward-launcher");

/// A pod's files and the broker they lead to.
pub(crate) struct Stage {
    pub(crate) broker: StandIn,
    pub(crate) authority: Authority,
    files: TempDir,
}

/// How a launcher, or the application it became, ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Each reference `NAME@azurekeyvault` is answered with `kwcanary-NAME@azurekeyvault`.
#[allow(clippy::unnecessary_wraps, reason = "the shape of a script")]
pub(crate) fn echo(call: &Call) -> Answer {
    Ok(call.references.iter().map(|reference| format!("kwcanary-{reference}").into_bytes()).collect())
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

impl Stage {
    pub(crate) fn new(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        Self::named(&["127.0.0.1"], answer)
    }

    /// With a broker whose certificate is for `names`.
    pub(crate) fn named(names: &[&str], answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        let authority = Authority::new().unwrap();
        let broker = StandIn::start(loopback(), &authority.issue(names).unwrap(), answer).unwrap();
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("ca.crt"), authority.pem()).unwrap();
        std::fs::write(files.path().join("token"), "the.pods.token\n").unwrap();
        Self { broker, authority, files }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// `exec -- COMMAND` in an environment that holds the launcher's variables, a `PATH` and nothing else.
    pub(crate) fn launch(&self, command: &[&str]) -> Command {
        self.launch_with(LAUNCHER.as_ref(), &[], command)
    }

    /// The same with another copy of the launcher and with options.
    pub(crate) fn launch_with(&self, launcher: &OsStr, options: &[&str], command: &[&str]) -> Command {
        let mut launch = bare(launcher, options, command);
        launch
            .env("KEYWARD_BROKER", format!("https://{}", self.broker.address()))
            .env("KEYWARD_CA_FILE", self.file("ca.crt"))
            .env("KEYWARD_TOKEN_FILE", self.file("token"))
            .env("KEYWARD_DEADLINE", "60s");
        launch
    }
}

/// `exec -- COMMAND` with nothing in its environment but a `PATH`.
pub(crate) fn bare(launcher: &OsStr, options: &[&str], command: &[&str]) -> Command {
    let mut launch = Command::new(launcher);
    launch.arg("exec").args(options).arg("--").args(command);
    launch.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    launch
}

pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ended {
    /// The application ran, ended well and printed this.
    #[track_caller]
    pub(crate) fn printed(&self, stdout: &str) {
        assert_eq!((self.status.code(), self.stderr.as_str()), (Some(0), ""));
        // Not `assert_eq`: a failing test must not print values either.
        assert!(self.stdout == stdout, "other output than expected, {} bytes", self.stdout.len());
    }

    /// The launcher failed with this code and one line that holds all of `parts` and no value.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, parts: &[&str]) {
        assert!(!self.stderr.contains("kwcanary"), "a value is on stderr");
        assert_eq!(self.status.code(), Some(code), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        let line = self.stderr.strip_suffix('\n').unwrap();
        assert!(line.starts_with("keyward-launcher: ") && !line.contains('\n'), "{line:?}");
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
    }
}

/// A directory as `install` leaves it, and the launcher in it.
pub(crate) fn installed() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let status = Command::new(LAUNCHER).arg("install").arg(directory.path()).status().unwrap();
    assert!(status.success());
    let launcher = directory.path().join("keyward-launcher");
    (directory, launcher)
}

pub(crate) fn listing(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
