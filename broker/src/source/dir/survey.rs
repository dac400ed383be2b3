//! What a directory's metadata say, without opening a file: which manifests it holds and when each was last changed.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A directory is not a database.
const MAX_FILES: usize = 10_000;

/// What tells two states of a file apart, followed through every symbolic link.
///
/// Every write moves `changed` and nobody can set it back, as one can with the time of modification; both are only as
/// fine as the clock that the kernel stamps with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: SystemTime,
    regular: bool,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        let seconds = Duration::from_secs(u64::try_from(found.ctime()).unwrap_or_default());
        let nanoseconds = Duration::from_nanos(u64::try_from(found.ctime_nsec()).unwrap_or_default());
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: UNIX_EPOCH + seconds + nanoseconds,
            regular: found.is_file(),
        })
    }
}

/// A directory and what is named as a manifest in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Survey {
    directory: Stamp,
    /// In order of name. What leads nowhere has no stamp, but is remembered: it may lead somewhere later.
    entries: Vec<(PathBuf, Option<Stamp>)>,
}

impl Survey {
    pub(super) fn take(path: &Path) -> io::Result<Self> {
        // Before the names: whatever comes between them makes the next look find another directory.
        let directory = Stamp::of(path)?;
        let entries = named(path)?.into_iter().map(|path| {
            let stamp = Stamp::of(&path).ok();
            (path, stamp)
        });
        Ok(Self { directory, entries: entries.collect() })
    }

    /// The files in order of name; directories below are not looked into.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let regular = |stamp: &Option<Stamp>| stamp.as_ref().is_some_and(|stamp| stamp.regular);
        self.entries.iter().filter(move |(_, stamp)| regular(stamp)).map(|(path, _)| path.as_path())
    }

    /// How many entries there are, files or not.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// When something in it was changed last.
    pub(super) fn newest(&self) -> SystemTime {
        let files = self.entries.iter().filter_map(|(_, stamp)| stamp.as_ref());
        files.map(|stamp| stamp.changed).fold(self.directory.changed, SystemTime::max)
    }

    /// Whether the directory itself, which names lead where it is, is as it was.
    pub(super) fn directory_holds(&self, path: &Path) -> io::Result<bool> {
        Ok(Stamp::of(path)? == self.directory)
    }

    /// Whether it has the same names.
    pub(super) fn names_hold(&self, path: &Path) -> io::Result<bool> {
        Ok(named(path)?.iter().eq(self.entries.iter().map(|(path, _)| path)))
    }

    /// Whether these of the entries are as they were.
    pub(super) fn entries_hold(&self, which: std::ops::Range<usize>) -> bool {
        let entries = self.entries.get(which).unwrap_or_default();
        entries.iter().all(|(path, stamp)| Stamp::of(path).ok() == *stamp)
    }
}

/// What is named as a manifest, in order.
fn named(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.push(path);
        }
        if found.len() > MAX_FILES {
            return Err(io::Error::other(format!("more than {MAX_FILES} files")));
        }
    }
    found.sort();
    Ok(found)
}
