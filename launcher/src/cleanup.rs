//! Empties the shared volume: after the launcher nothing in the container should be able to ask the broker again.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use crate::install::MARKER;

/// When to empty the directory the launcher lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Where the pod never restarts a container and the directory can be written.
    Auto,
    /// In any case; failing to is an error.
    Always,
    /// In no case.
    Never,
}

/// Why the directory was not emptied.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    /// `/proc` does not say where the launcher lies.
    #[error("cannot clean up: cannot tell where the launcher lies: {0}; is /proc mounted?")]
    Home(#[source] io::Error),
    /// The directory is not one that `install` filled.
    #[error("will not clean up {}: it holds no file `{MARKER}`, so `keyward-launcher install` did not fill it", .0.display())]
    Unmarked(PathBuf),
    /// Something in it cannot be deleted.
    #[error("cannot clean up {}: {source}; mount it writable or use --cleanup never", .directory.display())]
    Delete {
        /// The launcher's directory.
        directory: PathBuf,
        /// The system's own reason.
        source: io::Error,
    },
}

/// Whether there is anything to do. `Never` is matched exactly, as the API server spells it.
pub fn is_due(cleanup: Cleanup, restart_policy: Option<&OsStr>) -> bool {
    match cleanup {
        Cleanup::Auto => restart_policy == Some(OsStr::new("Never")),
        Cleanup::Always => true,
        Cleanup::Never => false,
    }
}

/// Empties the directory of the running program.
pub fn empty_home(cleanup: Cleanup) -> Result<(), CleanupError> {
    let home = std::env::current_exe().map_err(CleanupError::Home);
    let emptied = home.and_then(|program| empty(program.parent().unwrap_or(Path::new("/"))));
    match emptied {
        Err(error) if cleanup == Cleanup::Auto && is_forgivable(&error) => Ok(()),
        other => other,
    }
}

/// Deletes what lies in `directory`, the marker last: until then another try knows it for what it is.
fn empty(directory: &Path) -> Result<(), CleanupError> {
    if !directory.join(MARKER).is_file() {
        if is_emptied(directory).is_ok_and(|emptied| emptied) {
            return Ok(());
        }
        return Err(CleanupError::Unmarked(directory.to_owned()));
    }
    let failed = |source| CleanupError::Delete { directory: directory.to_owned(), source };
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name() != MARKER {
            gone(delete(&entry)).map_err(failed)?;
        }
    }
    gone(fs::remove_file(directory.join(MARKER))).map_err(failed)
}

/// Whether another container of the pod, which shares the volume, has cleaned up already.
fn is_emptied(directory: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(directory)?.next().is_none())
}

fn delete(entry: &DirEntry) -> io::Result<()> {
    if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }
}

/// Another container of the pod may be cleaning up at the same time.
fn gone(deleted: io::Result<()>) -> io::Result<()> {
    match deleted {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What `auto` takes for "this volume is not mine to empty".
fn is_forgivable(error: &CleanupError) -> bool {
    match error {
        CleanupError::Home(_) | CleanupError::Unmarked(_) => true,
        CleanupError::Delete { source, .. } => matches!(
            source.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::ResourceBusy
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_follows_the_restart_policy_exactly() {
        for (policy, due) in [(Some("Never"), true), (Some("never"), false), (Some("Always"), false), (None, false)] {
            let policy = policy.map(OsStr::new);
            assert_eq!(is_due(Cleanup::Auto, policy), due, "{policy:?}");
            assert!(is_due(Cleanup::Always, policy) && !is_due(Cleanup::Never, policy));
        }
    }

    #[test]
    fn a_marked_directory_is_emptied_and_links_are_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (inside, outside) = (home.path().join("inside"), home.path().join("outside"));
        fs::create_dir_all(inside.join("deep/er")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        for name in [MARKER, ".hidden", "launcher", "deep/er/file"] {
            fs::write(inside.join(name), "").unwrap();
        }
        empty(&inside).unwrap();
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 0);
        assert!(outside.join("kept").exists());
    }

    #[test]
    fn a_directory_without_the_marker_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("ls"), "").unwrap();
        assert!(matches!(empty(home.path()), Err(CleanupError::Unmarked(_))));
        assert!(home.path().join("ls").exists());
    }

    #[test]
    fn auto_forgives_a_volume_it_may_not_write_and_nothing_else() {
        for (kind, forgiven) in [
            (io::ErrorKind::PermissionDenied, true),
            (io::ErrorKind::ReadOnlyFilesystem, true),
            (io::ErrorKind::ResourceBusy, true),
            (io::ErrorKind::StorageFull, false),
        ] {
            let error = CleanupError::Delete { directory: "/d".into(), source: kind.into() };
            assert_eq!(is_forgivable(&error), forgiven, "{kind}");
        }
    }
}
