//! Becomes the application.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;

use crate::args::Launch;
use crate::environment::Environment;

/// Why the system did not start the application.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// Values can be larger than the system passes on.
    #[error(
        "the environment and arguments are larger than this system allows; the largest variable is {variable:?} with \
         {bytes} bytes: mount it as a file instead"
    )]
    TooLarge {
        /// The largest variable.
        variable: OsString,
        /// Its name and value together.
        bytes: usize,
    },
    /// Anything else, such as a script without interpreter or a program for another machine.
    #[error("command {} cannot be executed: {reason}", .path.display())]
    Refused {
        /// What was to be executed.
        path: PathBuf,
        /// The system's own reason, or a clearer one.
        reason: String,
    },
}

/// Replaces this process by `program`. It returns only if that fails.
///
/// Through [`Command`] because that gives the application the signals as they were: Rust's start-up code ignores
/// SIGPIPE, and what is ignored stays ignored across `execve`. With musl nothing else is tried where the kernel refuses;
/// glibc would hand a file of unknown format to `/bin/sh`.
pub fn replace(program: &Path, launch: &Launch, environment: Environment) -> ExecError {
    let mut command = Command::new(program);
    command.arg0(&launch.program).args(&launch.arguments).env_clear().envs(environment.iter());
    let largest = environment.largest().map(|(name, bytes)| (name.to_owned(), bytes));
    drop(environment);
    explain(program, largest, &command.exec())
}

fn explain(program: &Path, largest: Option<(OsString, usize)>, error: &io::Error) -> ExecError {
    let errno = Errno::from_io_error(error);
    if let (Some(Errno::TOOBIG), Some((variable, bytes))) = (errno, largest) {
        return ExecError::TooLarge { variable, bytes };
    }
    let reason = match errno {
        Some(Errno::NOEXEC) => "it is neither a program for this machine nor a script with a `#!` line".to_owned(),
        Some(Errno::NOENT) => "the interpreter or loader it names does not exist".to_owned(),
        _ => error.to_string(),
    };
    ExecError::Refused { path: program.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_reason_is_made_clear() {
        let explained = |errno: Errno| {
            let largest = Some(("BIG".into(), 200_000));
            explain(Path::new("/app"), largest, &io::Error::from(errno)).to_string()
        };
        assert!(explained(Errno::NOEXEC).contains("`#!`"));
        assert!(explained(Errno::NOENT).contains("interpreter"));
        assert!(explained(Errno::PERM).contains("not permitted"));
        assert!(explained(Errno::TOOBIG).contains(r#""BIG" with 200000 bytes"#));
    }
}
