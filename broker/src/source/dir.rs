//! `--source DIR`: the manifests in a directory's `*.yaml` and `*.yml` files, read again whenever one of them changes.
//!
//! Changes are found by comparing contents, not by inotify: a kubelet replaces a mounted ConfigMap by swapping one
//! symbolic link, after which watches on the files themselves hear nothing more.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::{
    manifests,
    policy::{Defaults, Snapshot},
};

/// How often the directory is looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files read, and bytes of each: a directory is not a database.
const MAX_FILES: usize = 10_000;
const MAX_BYTES: u64 = 4 << 20;

/// A directory of manifests.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    defaults: Defaults,
}

/// Why a directory could not be read. A file in it that cannot is a problem of the snapshot, not this.
#[derive(Debug, thiserror::Error)]
#[error("--source {path}: {source}", path = path.display())]
pub struct DirectoryError {
    path: PathBuf,
    source: io::Error,
}

/// What was read, and a digest of it to compare with the next look.
pub struct Reading {
    /// What the manifests say.
    pub snapshot: Snapshot,
    digest: u64,
}

impl Directory {
    /// `path` is read by [`Self::read`], not here.
    pub fn new(path: impl Into<PathBuf>, defaults: Defaults) -> Self {
        Self { path: path.into(), defaults }
    }

    /// Reads every manifest. Names in the snapshot's problems are relative to the directory.
    pub fn read(&self) -> Result<Reading, DirectoryError> {
        let files = self.files().map_err(|source| DirectoryError { path: self.path.clone(), source })?;
        let mut digest = DefaultHasher::new();
        let mut results = Vec::new();
        for path in files {
            let name = path.strip_prefix(&self.path).unwrap_or(&path).display().to_string();
            let text = read_file(&path).map_err(|error| error.to_string());
            (&name, &text).hash(&mut digest);
            match text {
                Ok(text) => results.extend(manifests::read(&name, &text)),
                Err(reason) => results.push(Err(manifests::Invalid {
                    place: name,
                    subject: manifests::Subject::Unknown,
                    reason: format!("it cannot be read: {reason}"),
                })),
            }
        }
        Ok(Reading { snapshot: Snapshot::build(self.defaults.clone(), results), digest: digest.finish() })
    }

    /// The files in order of name; directories below are not looked into.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let named = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
            if named && path.is_file() {
                files.push(path);
            }
            if files.len() > MAX_FILES {
                return Err(io::Error::other(format!("more than {MAX_FILES} files")));
            }
        }
        files.sort();
        Ok(files)
    }

    /// Looks again at every tick of `look_every` and calls `changed` after a new snapshot was swapped in, until
    /// `shutdown`. A directory that has gone away keeps the last snapshot and is complained of once.
    pub async fn watch(
        self,
        first: u64,
        into: Arc<ArcSwap<Snapshot>>,
        look_every: Duration,
        changed: impl Fn(&Snapshot) + Send,
        shutdown: CancellationToken,
    ) {
        let mut digest = first;
        let mut lost = false;
        let mut ticks = tokio::time::interval(look_every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let directory = self.clone();
            let Ok(reading) = tokio::task::spawn_blocking(move || directory.read()).await else { continue };
            match reading {
                Ok(reading) if reading.digest != digest => {
                    digest = reading.digest;
                    let snapshot = Arc::new(reading.snapshot);
                    into.store(Arc::clone(&snapshot));
                    changed(&snapshot);
                    lost = false;
                }
                Ok(_) => lost = false,
                Err(error) if !lost => {
                    tracing::error!(%error, "manifests cannot be read; the last ones hold");
                    lost = true;
                }
                Err(_) => {}
            }
        }
    }
}

impl Reading {
    /// What [`Directory::watch`] compares the next reading with.
    pub fn digest(&self) -> u64 {
        self.digest
    }
}

fn read_file(path: &Path) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > MAX_BYTES {
        return Err(io::Error::other(format!("{length} bytes; at most {MAX_BYTES} are read")));
    }
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use keyward_crds::azure_key_vault::Cloud;
    use tokio::sync::mpsc;

    use super::*;
    use crate::policy::DefaultAccess;

    const SECRET: &str = "apiVersion: spv.no/v1\nkind: AzureKeyVaultSecret\nmetadata: {name: db, namespace: shop}\n\
                          spec: {vault: {name: acme, object: {name: db, type: secret}}}\n";

    fn directory(path: &Path) -> Directory {
        let defaults = Defaults {
            access: DefaultAccess::Deny,
            cloud: Cloud::AzurePublic,
            custom_suffix: None,
            poll_interval: Duration::from_secs(600),
        };
        Directory::new(path, defaults)
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = directory(Path::new("/nowhere/at/all")).read().err().unwrap().to_string();
        assert!(error.starts_with("--source /nowhere/at/all: "), "{error}");
    }

    #[test]
    fn a_file_that_is_not_text_does_not_hide_the_others() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), [0xff, 0xfe, 0x00]).unwrap();
        fs::write(dir.path().join("b.yaml"), SECRET).unwrap();
        fs::write(dir.path().join("notes.txt"), "not looked at").unwrap();
        let snapshot = directory(dir.path()).read().unwrap().snapshot;
        assert!(snapshot.secret("shop", "db").is_some());
        assert_eq!(snapshot.problems().len(), 1);
        assert_eq!(snapshot.problems()[0].place, "a.yaml");
    }

    #[tokio::test]
    async fn a_kubelets_symlink_swap_is_noticed_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let generation = |n: usize, name: &str| {
            let data = dir.path().join(format!("..{n}"));
            fs::create_dir(&data).unwrap();
            fs::write(data.join("shop.yaml"), SECRET.replace("name: db,", &format!("name: {name},"))).unwrap();
            let link = dir.path().join("..next");
            std::os::unix::fs::symlink(format!("..{n}"), &link).unwrap();
            fs::rename(link, dir.path().join("..data")).unwrap();
        };
        generation(0, "zero");
        std::os::unix::fs::symlink("..data/shop.yaml", dir.path().join("shop.yaml")).unwrap();
        let directory = directory(dir.path());
        let first = directory.read().unwrap();
        let (digest, snapshot) = (first.digest(), Arc::new(ArcSwap::from_pointee(first.snapshot)));
        let (told, mut changes) = mpsc::unbounded_channel();
        let shutdown = CancellationToken::new();
        let watching = tokio::spawn(directory.watch(
            digest,
            Arc::clone(&snapshot),
            Duration::from_millis(5),
            move |_| told.send(()).unwrap(),
            shutdown.clone(),
        ));
        for (n, name) in ["one", "two", "three"].into_iter().enumerate() {
            generation(n + 1, name);
            changes.recv().await.unwrap();
            assert!(snapshot.load().secret("shop", name).is_some(), "{name}");
        }
        shutdown.cancel();
        watching.await.unwrap();
    }
}
