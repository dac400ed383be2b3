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
    /// What builds them did not start.
    #[error("{0} does not start: {1}")]
    Start(String, String),
    /// It failed; its own words are on standard error.
    #[error("`{0}` failed")]
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

    /// What pods run, static and optimised (profile `quick`): the programs of all images, and the probe. The images are
    /// made of the same, by the same script, so that nothing is built twice.
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

fn build_static() -> Result<Programs, ProgramsError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/images/programs");
    let printed = printed_by(nested(&script).args(["--profile", "quick"]))?;
    let lines = String::from_utf8_lossy(&printed);
    let programs = lines.lines().filter_map(|line| line.split_once(' '));
    Ok(Programs(programs.map(|(name, path)| (name.to_owned(), PathBuf::from(path))).collect()))
}

/// Builds by a nested cargo, told `arguments`, and returns where each program is, by its name.
pub(crate) fn cargo_build(arguments: &[&str]) -> Result<HashMap<String, PathBuf>, ProgramsError> {
    // Set by cargo for everything it runs, so that a nested call is the same cargo.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = nested(Path::new(&cargo));
    command.arg("build").args(arguments).arg("--message-format=json-render-diagnostics");
    let printed = printed_by(&mut command)?;
    let messages = printed.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let programs = messages.filter_map(|message: serde_json::Value| {
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    });
    Ok(programs.collect())
}

/// A command that runs cargo, without what cargo says to the program it runs. Build scripts that look at it, as ring's
/// does, would be run again, whatever depends on them be compiled again, and files replaced that the outer cargo still needs.
pub fn nested(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if SAID_BY_CARGO.iter().any(|said| name.as_encoded_bytes().starts_with(said.as_bytes())) {
            command.env_remove(name);
        }
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit());
    command
}

fn printed_by(command: &mut Command) -> Result<Vec<u8>, ProgramsError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let built =
        command.output().map_err(|error: io::Error| ProgramsError::Start(program.clone(), error.to_string()))?;
    if built.status.success() {
        return Ok(built.stdout);
    }
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    Err(ProgramsError::Build(std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")))
}
