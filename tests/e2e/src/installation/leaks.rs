//! What pods print, searched for values and tokens. A pod that goes takes its log along, so it is searched all the time.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::bail;
use keyward_tests::process::is_secret;
use tokio::task::JoinSet;

/// How often. A pod of the suite lives longer.
const EVERY: Duration = Duration::from_millis(500);

/// A search that goes on until this is dropped.
pub struct Search {
    searched: Arc<Mutex<Searched>>,
    _task: JoinSet<()>,
}

/// How far each file was read, and which held something.
struct Searched {
    below: PathBuf,
    read: HashMap<PathBuf, u64>,
    found: Vec<PathBuf>,
}

impl Search {
    /// Searches everything below a directory.
    pub fn start(below: PathBuf) -> Self {
        let searched = Searched { below, read: HashMap::new(), found: Vec::new() };
        let searched = Arc::new(Mutex::new(searched));
        let mut task = JoinSet::new();
        let (mut every, shared) = (tokio::time::interval(EVERY), Arc::clone(&searched));
        task.spawn(async move {
            loop {
                every.tick().await;
                lock(&shared).look();
            }
        });
        Self { searched, _task: task }
    }

    /// An error where something was found until now. It says where, and not what.
    pub fn nothing_found(&self) -> anyhow::Result<()> {
        let mut searched = lock(&self.searched);
        searched.look();
        if let Some(path) = searched.found.first() {
            bail!("{} holds a value or a token", path.display());
        }
        Ok(())
    }
}

fn lock(searched: &Mutex<Searched>) -> std::sync::MutexGuard<'_, Searched> {
    searched.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Searched {
    fn look(&mut self) {
        let below = self.below.clone();
        self.look_below(&below);
    }

    /// What lies below may go while it is looked at, with its pod.
    fn look_below(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.look_below(&entry.path()),
                Ok(kind) if kind.is_file() => self.look_at(entry.path()),
                _ => {}
            }
        }
    }

    /// What is new in a file, in whole lines.
    fn look_at(&mut self, path: PathBuf) {
        let from = self.read.get(&path).copied().unwrap_or_default();
        let Some(new) = read_from(&path, from) else { return };
        let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if is_secret(&String::from_utf8_lossy(&new[..whole])) {
            self.found.push(path.clone());
        }
        self.read.insert(path, from + whole as u64);
    }
}

fn read_from(path: &Path, from: u64) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut new = Vec::new();
    file.read_to_end(&mut new).ok()?;
    Some(new)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_value_is_found_in_a_line_that_was_written_in_two_parts() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("pod")).unwrap();
        let path = directory.path().join("pod/0.log");
        let mut file = File::create(&path).unwrap();
        let mut searched = Searched { below: directory.path().to_owned(), read: HashMap::new(), found: Vec::new() };
        write!(file, "hello\nhere comes kw").unwrap();
        searched.look();
        assert!(searched.found.is_empty());
        writeln!(file, "canary").unwrap();
        searched.look();
        assert_eq!(searched.found, [path]);
    }
}
