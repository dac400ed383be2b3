//! The workspace's own programs, built once and found: tests and the quickstart run the real ones.

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// Where each program is, by its name.
#[derive(Clone, Debug)]
pub struct Programs(HashMap<String, PathBuf>);

/// Why the programs are not there.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProgramsError {
    /// cargo did not start.
    #[error("cargo does not start: {0}")]
    Start(String),
    /// cargo failed; its own words are on standard error.
    #[error("`cargo build {0}` failed")]
    Build(String),
    /// There is no such program in the workspace.
    #[error("the workspace has no program `{0}`")]
    Unknown(String),
}

impl Programs {
    /// Builds what is not built yet. Later calls in one process return the first one's answer.
    pub fn build() -> Result<Self, ProgramsError> {
        static BUILT: OnceLock<Result<Programs, ProgramsError>> = OnceLock::new();
        BUILT.get_or_init(build).clone()
    }

    /// The same, optimised (profile `quick`): for what is measured.
    pub fn optimised() -> Result<Self, ProgramsError> {
        static BUILT: OnceLock<Result<Programs, ProgramsError>> = OnceLock::new();
        let build = || cargo_build(&["--workspace", "--bins", "--profile", "quick"]).map(Programs);
        BUILT.get_or_init(build).clone()
    }

    /// What pods run, the launcher and the probe: static, optimised (profile `quick`), and with musl where rustup has it.
    pub fn of_pods() -> Result<Self, ProgramsError> {
        static BUILT: OnceLock<Result<Programs, ProgramsError>> = OnceLock::new();
        BUILT.get_or_init(build_static).clone()
    }

    /// The program's file.
    pub fn path(&self, name: &str) -> Result<&Path, ProgramsError> {
        self.0.get(name).map(PathBuf::as_path).ok_or_else(|| ProgramsError::Unknown(name.to_owned()))
    }
}

/// Prefixes of the variables that cargo sets for what it runs; `CARGO_HOME` and `CARGO_TARGET_DIR` are people's.
const SAID_BY_CARGO: [&str; 6] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_", "OUT_DIR"];

fn build() -> Result<Programs, ProgramsError> {
    cargo_build(&["--workspace", "--bins"]).map(Programs)
}

const MUSL: &str = "x86_64-unknown-linux-musl";

fn build_static() -> Result<Programs, ProgramsError> {
    let mut arguments =
        vec!["--package", "keyward-launcher", "--package", "keyward-probe", "--bins", "--profile", "quick"];
    if has_musl() {
        arguments.extend(["--target", MUSL]);
        return cargo_build(&arguments).map(Programs);
    }
    // The target must be named, or procedural macros would be built static too, which they cannot be.
    arguments.extend(["--target", "x86_64-unknown-linux-gnu"]);
    cargo_build_with(&arguments, &[("RUSTFLAGS", "-C target-feature=+crt-static")]).map(Programs)
}

/// Whether the target is installed, after an attempt to.
fn has_musl() -> bool {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let is_there = || {
        let root = said("rustc", &["--print", "sysroot"]);
        root.is_some_and(|root| Path::new(&root).join("lib/rustlib").join(MUSL).is_dir())
    };
    is_there() || (said("rustup", &["target", "add", MUSL]).is_some() && is_there())
}

/// Builds by a nested cargo, told `arguments`, and returns where each program is, by its name.
pub(crate) fn cargo_build(arguments: &[&str]) -> Result<HashMap<String, PathBuf>, ProgramsError> {
    cargo_build_with(arguments, &[])
}

fn cargo_build_with(
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<HashMap<String, PathBuf>, ProgramsError> {
    // Set by cargo for everything it runs, so that a nested call is the same cargo.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    // What cargo says to the program it runs. Build scripts that look at it, as ring's does, would be run again, and
    // files replaced that the outer cargo still needs.
    for (name, _) in std::env::vars_os() {
        if SAID_BY_CARGO.iter().any(|said| name.as_encoded_bytes().starts_with(said.as_bytes())) {
            command.env_remove(name);
        }
    }
    let built = command
        .arg("build")
        .args(arguments)
        .envs(environment.iter().copied())
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error: io::Error| ProgramsError::Start(error.to_string()))?;
    if !built.status.success() {
        return Err(ProgramsError::Build(arguments.join(" ")));
    }
    let messages = built.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let programs = messages.filter_map(|message: serde_json::Value| {
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    });
    Ok(programs.collect())
}
