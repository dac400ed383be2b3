//! The command line. Parsed by hand: a parser crate would cost a fifth of the binary for two subcommands.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::cleanup::Cleanup;

/// What `--version` says: the package's version, or what the build was told, which names the commit too.
pub const VERSION: &str = match option_env!("KEYWARD_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// What `--help` prints.
pub const HELP: &str = "\
Resolves the Azure Key Vault references in its environment, then becomes the application.

Usage:
  keyward-launcher exec [--cleanup auto|always|never] -- COMMAND [ARGUMENT...]
  keyward-launcher install DIRECTORY [CONTAINER...]
  keyward-launcher --help | --version

exec     Every variable whose whole value is NAME@azurekeyvault or NAME@azurekeyvault?QUERY is resolved, all with one
         request. The launcher then replaces itself with COMMAND, found as a shell would find it: same process, its own
         signals and exit code. Without such a variable there is no request.
install  Copies this program and the marker file .keyward into DIRECTORY; or into a folder of DIRECTORY for each CONTAINER,
         which anybody may empty, with one copy that they all share.

Options of exec:
  --cleanup WHEN  When to delete all that lies beside the launcher, itself included, provided that .keyward lies there:
                  auto    if KEYWARD_RESTART_POLICY is Never and the volume can be written (default)
                  always  always; failing to is an error
                  never   never

Variables of exec, removed before the application starts:
  KEYWARD_BROKER          https://HOST:PORT of the broker; required when there is a reference
  KEYWARD_BROKER_IP       address tried before HOST is looked up; the certificate must be for HOST all the same
  KEYWARD_CA_FILE         trusted authorities, PEM      [default: /var/run/secrets/keyward.dev/ca.crt]
  KEYWARD_TOKEN_FILE      this pod's projected token    [default: /var/run/secrets/keyward.dev/token]
  KEYWARD_DEADLINE        time for all tries together, as 500ms, 90s, 2m or 1h   [default: 120s]
  KEYWARD_RESTART_POLICY  the container's effective restart policy, for --cleanup auto
  KEYWARD_CONTAINER       the container's name; written by the webhook, and told to the broker, which gives the values of a
                          container once for each of its starts
  KEYWARD_REFERENCES      the names this container's references had when its pod was admitted; written by the webhook,
                          which the broker holds it to, and not read by the launcher

A failure is one line on stderr, and in /dev/termination-log if that is an empty file.

Exit codes (otherwise the application's own):
   64  the command line is wrong
   65  a reference is malformed, or a value cannot stand in an environment
   66  a referenced object does not exist
   69  the broker gave no answer before the deadline
   70  the broker failed, or answered what it must not
   73  installing or cleaning up failed
   76  a referenced object exists and cannot be served
   77  the broker refused: no permission, or the token does not verify
   78  configuration: no token, no authority, an untrusted broker, or a bad KEYWARD_ variable
  126  COMMAND cannot be executed
  127  COMMAND was not found
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Print [`HELP`].
    Help,
    /// Print [`VERSION`].
    Version,
    /// Copy the launcher into a directory.
    Install {
        /// Where to.
        directory: PathBuf,
        /// For whom a folder is made in it, each once. Nobody: the copy lies in the directory itself.
        containers: Vec<String>,
    },
    /// Resolve and become the application.
    Exec(Launch),
}

/// The application and how to leave it behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Launch {
    /// When to empty the shared volume.
    pub cleanup: Cleanup,
    /// The command as given: also the application's `argv[0]`.
    pub program: OsString,
    /// What follows it.
    pub arguments: Vec<OsString>,
}

/// Why the command line is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Neither a subcommand nor a flag that is known.
    #[error("{0:?} is neither `exec` nor `install`; see `keyward-launcher --help`")]
    Unknown(OsString),
    /// Nothing was given.
    #[error("what is to be done is missing: `exec` or `install`; see `keyward-launcher --help`")]
    Nothing,
    /// `install` must be told where to.
    #[error("the directory is missing: `keyward-launcher install DIRECTORY [CONTAINER...]`")]
    Directory,
    /// What follows the directory become names of folders in it.
    #[error("{0:?} is not the name of a container: 1 to 63 of a to z, 0 to 9 and `-`, with no `-` at its ends")]
    Container(OsString),
    /// An option of `exec` that is not known, or a command without `--` before it.
    #[error("`exec` does not know {0:?}; the command goes after `--`")]
    Option(OsString),
    /// Not a value of `--cleanup`.
    #[error("--cleanup={0:?} is not one of auto, always and never")]
    Cleanup(OsString),
    /// `--` and a command are required.
    #[error("the command is missing: `keyward-launcher exec -- COMMAND`")]
    Command,
}

/// Reads the arguments that follow the program's own name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Action, UsageError> {
    let mut rest = arguments.into_iter();
    let first = rest.next().ok_or(UsageError::Nothing)?;
    match first.to_str() {
        Some("--help" | "-h" | "help") => Ok(Action::Help),
        Some("--version" | "-V") => Ok(Action::Version),
        Some("install") => install(rest),
        Some("exec") => exec(rest),
        _ => Err(UsageError::Unknown(first)),
    }
}

fn install(mut rest: impl Iterator<Item = OsString>) -> Result<Action, UsageError> {
    let directory = rest.next().filter(|directory| !directory.is_empty()).ok_or(UsageError::Directory)?;
    if matches!(directory.to_str(), Some("--help" | "-h")) {
        return Ok(Action::Help);
    }
    let mut containers = Vec::new();
    for name in rest {
        match name.to_str() {
            Some(label) if !is_label(label) => return Err(UsageError::Container(name)),
            Some(label) if containers.iter().any(|known| known == label) => {}
            Some(label) => containers.push(label.to_owned()),
            None => return Err(UsageError::Container(name)),
        }
    }
    Ok(Action::Install { directory: directory.into(), containers })
}

/// Whether it is a DNS label, as names of containers are: so it leads nowhere but to one folder.
pub fn is_label(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(known) && !name.starts_with('-') && !name.ends_with('-')
}

fn exec(mut rest: impl Iterator<Item = OsString>) -> Result<Action, UsageError> {
    let mut cleanup = Cleanup::Auto;
    loop {
        let option = rest.next().ok_or(UsageError::Command)?;
        match option.to_str() {
            Some("--") => break,
            Some("--help" | "-h") => return Ok(Action::Help),
            Some("--cleanup") => cleanup = when(&rest.next().unwrap_or_default())?,
            Some(text) => match text.strip_prefix("--cleanup=") {
                Some(value) => cleanup = when(OsStr::new(value))?,
                None => return Err(UsageError::Option(option)),
            },
            None => return Err(UsageError::Option(option)),
        }
    }
    let program = rest.next().ok_or(UsageError::Command)?;
    Ok(Action::Exec(Launch { cleanup, program, arguments: rest.collect() }))
}

fn when(value: &OsStr) -> Result<Cleanup, UsageError> {
    match value.to_str() {
        Some("auto") => Ok(Cleanup::Auto),
        Some("always") => Ok(Cleanup::Always),
        Some("never") => Ok(Cleanup::Never),
        _ => Err(UsageError::Cleanup(value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Action, UsageError> {
        parse(line.iter().map(OsString::from))
    }

    fn launch(cleanup: Cleanup, command: &[&str]) -> Action {
        let (program, arguments) = command.split_first().unwrap();
        let arguments = arguments.iter().map(OsString::from).collect();
        Action::Exec(Launch { cleanup, program: program.into(), arguments })
    }

    fn install_for(directory: &str, containers: &[&str]) -> Action {
        let containers = containers.iter().map(|&name| name.to_owned()).collect();
        Action::Install { directory: directory.into(), containers }
    }

    #[test]
    fn each_form_of_the_command_line_is_understood() {
        assert_eq!(parsed(&["--help"]), Ok(Action::Help));
        assert_eq!(parsed(&["exec", "--help"]), Ok(Action::Help));
        assert_eq!(parsed(&["--version"]), Ok(Action::Version));
        assert_eq!(parsed(&["install", "/d"]), Ok(install_for("/d", &[])));
        assert_eq!(parsed(&["install", "/d", "app", "x-1", "app"]), Ok(install_for("/d", &["app", "x-1"])));
        assert_eq!(parsed(&["exec", "--", "app"]), Ok(launch(Cleanup::Auto, &["app"])));
        assert_eq!(parsed(&["exec", "--cleanup", "never", "--", "app"]), Ok(launch(Cleanup::Never, &["app"])));
        assert_eq!(parsed(&["exec", "--cleanup=always", "--", "app"]), Ok(launch(Cleanup::Always, &["app"])));
    }

    #[test]
    fn everything_after_the_dashes_belongs_to_the_application() {
        let line = ["exec", "--", "app", "--help", "--", "--cleanup=x", ""];
        assert_eq!(parsed(&line), Ok(launch(Cleanup::Auto, &line[2..])));
    }

    #[test]
    fn a_wrong_command_line_is_refused_by_what_is_wrong_with_it() {
        for (line, expected) in [
            (&[][..], UsageError::Nothing),
            (&["run"], UsageError::Unknown("run".into())),
            (&["install"], UsageError::Directory),
            (&["install", ""], UsageError::Directory),
            (&["install", "/a", "/b"], UsageError::Container("/b".into())),
            (&["exec"], UsageError::Command),
            (&["exec", "--"], UsageError::Command),
            (&["exec", "app"], UsageError::Option("app".into())),
            (&["exec", "--clean", "--", "app"], UsageError::Option("--clean".into())),
            (&["exec", "--cleanup", "--", "app"], UsageError::Cleanup("--".into())),
            (&["exec", "--cleanup"], UsageError::Cleanup("".into())),
            (&["exec", "--cleanup=Always", "--", "app"], UsageError::Cleanup("Always".into())),
        ] {
            assert_eq!(parsed(line), Err(expected), "{line:?}");
        }
    }

    #[test]
    fn only_the_name_of_a_container_becomes_a_folder() {
        let longest = "a".repeat(63);
        assert!(parsed(&["install", "/d", &longest, "0", "a-b"]).is_ok());
        for name in
            ["", ".", "..", "a/b", "/", "../a", "a.b", "A", "a_b", "-a", "a-", "--", "ü", &format!("{longest}a")]
        {
            let refused = parsed(&["install", "/d", "app", name]);
            assert_eq!(refused, Err(UsageError::Container(name.into())), "{name:?}");
        }
    }
}
