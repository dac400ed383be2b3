//! Finds a command as a POSIX shell does, before anything is deleted.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};

/// Where the usual C libraries look when there is no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// Why a command cannot be started.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Nothing of that name.
    #[error("command {0:?} was not found; is it in the image and, without a `/`, in PATH?")]
    NotFound(OsString),
    /// Only what may not be executed.
    #[error("command {0:?} cannot be executed: it is no file with execute permission for this user")]
    Denied(OsString),
}

enum Candidate {
    Executable,
    Denied,
    Absent,
}

/// The path to execute. It always contains a `/`, so that nobody looks it up again.
pub fn find(command: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, LookupError> {
    let mut denied = false;
    for candidate in candidates(command, path.unwrap_or(OsStr::new(DEFAULT_PATH))) {
        match look(&candidate) {
            Candidate::Executable => return Ok(candidate),
            Candidate::Denied => denied = true,
            Candidate::Absent => {}
        }
    }
    let error = if denied { LookupError::Denied } else { LookupError::NotFound };
    Err(error(command.to_owned()))
}

/// All paths a command may be at. Pure.
fn candidates(command: &OsStr, path: &OsStr) -> Vec<PathBuf> {
    if command.is_empty() {
        return Vec::new();
    }
    if command.as_bytes().contains(&b'/') {
        return vec![command.into()];
    }
    let entries = path.as_bytes().split(|byte| *byte == b':');
    // An empty entry means the working directory.
    let entries = entries.map(|entry| if entry.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(entry) });
    entries.map(|directory| Path::new(directory).join(command)).collect()
}

fn look(path: &Path) -> Candidate {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            // The effective user is the one `execve` asks about.
            match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
                Ok(()) => Candidate::Executable,
                Err(_) => Candidate::Denied,
            }
        }
        // A directory: `execve` says EACCES, and so does a shell.
        Ok(_) => Candidate::Denied,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Candidate::Denied,
        Err(_) => Candidate::Absent,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn paths(command: &str, path: &str) -> Vec<String> {
        let found = candidates(OsStr::new(command), OsStr::new(path));
        found.into_iter().map(|path| path.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_command_is_looked_for_where_a_shell_looks() {
        assert_eq!(paths("app", "/a:/b"), ["/a/app", "/b/app"]);
        assert_eq!(paths("./app", "/a:/b"), ["./app"]);
        assert_eq!(paths("/app", "/a"), ["/app"]);
        assert_eq!(paths("app", ":/b"), ["./app", "/b/app"]);
        assert_eq!(paths("app", ""), ["./app"]);
        assert_eq!(paths("app", "rel"), ["rel/app"]);
        assert_eq!(paths("", "/a"), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_executed_is_passed_over_and_remembered() {
        let home = tempfile::tempdir().unwrap();
        let file = |directory: &str, mode| {
            let directory = home.path().join(directory);
            std::fs::create_dir_all(&directory).unwrap();
            let file = directory.join("app");
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            (directory.into_os_string().into_string().unwrap(), file)
        };
        let (plain, _) = file("plain", 0o644);
        let (good, executable) = file("good", 0o755);
        let search = |path: &str| find(OsStr::new("app"), Some(OsStr::new(path)));
        assert_eq!(search(&format!("/nonexistent:{plain}:{good}")), Ok(executable));
        assert_eq!(search(&plain), Err(LookupError::Denied("app".into())));
        assert_eq!(search("/nonexistent"), Err(LookupError::NotFound("app".into())));
        assert_eq!(find(OsStr::new(&plain), None), Err(LookupError::Denied(plain.into())));
    }
}
