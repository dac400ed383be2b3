//! Leaves the line of a failure where Kubernetes looks for it: `kubectl describe pod` then shows why a container ended.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Where the kubelet puts an empty file for each container, unless its `terminationMessagePath` says otherwise.
pub const LOG: &str = "/dev/termination-log";

/// The kubelet keeps no more.
const MAX_BYTES: usize = 4_096;

/// Writes `line` to `path` if that is an empty file: it is never made, and what an application wrote there stays. To fail
/// here is no failure; the line is on stderr too.
pub fn leave(path: &Path, line: &str) {
    let _best_effort = write(path, line);
}

fn write(path: &Path, line: &str) -> io::Result<()> {
    // Whatever else lies there must neither lead elsewhere nor hold us up.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = OpenOptions::new().write(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() == 0 {
        file.write_all(&line.as_bytes()[..line.floor_char_boundary(MAX_BYTES)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_empty_file_gets_the_line_and_a_long_one_is_cut_between_characters() {
        let file = tempfile::NamedTempFile::new().unwrap();
        leave(file.path(), "why");
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "why");
        fs::write(file.path(), "").unwrap();
        leave(file.path(), &"…".repeat(2_000));
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "…".repeat(1_365));
    }

    #[test]
    fn what_is_no_empty_file_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str| home.path().join(name);
        leave(&file("absent"), "why");
        assert!(!file("absent").exists());
        fs::write(file("written"), "the application's").unwrap();
        leave(&file("written"), "why");
        assert_eq!(fs::read_to_string(file("written")).unwrap(), "the application's");
        fs::write(file("target"), "").unwrap();
        std::os::unix::fs::symlink(file("target"), file("link")).unwrap();
        leave(&file("link"), "why");
        assert_eq!(fs::read_to_string(file("target")).unwrap(), "");
    }
}
