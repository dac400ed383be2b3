//! `--source DIR`: the manifests in a directory's `*.yaml` and `*.yml` files, read again whenever one of them changes.
//!
//! Changes are found by looking, not by inotify: a kubelet replaces a mounted ConfigMap by swapping one symbolic link,
//! after which watches on the files themselves hear nothing more. A look is cheap: `survey` reads metadata, `attention`
//! says when they are reason to read contents. Only other contents make another snapshot.

mod attention;
mod survey;
mod text;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;

use self::{attention::Attention, survey::Survey};
use crate::{
    manifests,
    policy::{Current, Defaults, Snapshot},
};

/// How often the directory is looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

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
        let survey = Survey::take(&self.path).map_err(|source| self.failed(source))?;
        let mut digest = DefaultHasher::new();
        let mut results = Vec::new();
        for (name, text) in self.contents(&survey) {
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

    /// Reads again if contents are other than those of `digest`. `attention` spares the reading where it can.
    fn look(&self, attention: &mut Attention, digest: u64, now: SystemTime) -> Result<Option<Reading>, DirectoryError> {
        let Some(survey) = attention.look(&self.path, now).map_err(|source| self.failed(source))? else {
            return Ok(None);
        };
        // One file in memory at a time, and nothing parsed: a file that was only touched is no change.
        let mut found = DefaultHasher::new();
        self.contents(survey).for_each(|content| content.hash(&mut found));
        if found.finish() == digest { Ok(None) } else { self.read().map(Some) }
    }

    /// Name and text of each file.
    fn contents<'a>(&'a self, survey: &'a Survey) -> impl Iterator<Item = (String, Result<String, String>)> + 'a {
        survey.files().map(|path| {
            let name = path.strip_prefix(&self.path).unwrap_or(path).display().to_string();
            (name, text::read(path).map_err(|error| error.to_string()))
        })
    }

    fn failed(&self, source: io::Error) -> DirectoryError {
        DirectoryError { path: self.path.clone(), source }
    }

    /// Looks again at every tick of `look_every` and calls `changed` after a new snapshot was swapped in, until
    /// `shutdown`. A directory that has gone away keeps the last snapshot and is complained of once.
    pub async fn watch(
        self,
        first: u64,
        into: Arc<Current>,
        look_every: Duration,
        changed: impl Fn(&Snapshot) + Send,
        shutdown: CancellationToken,
    ) {
        let mut digest = first;
        let mut lost = false;
        let mut attention = Attention::default();
        let mut ticks = tokio::time::interval(look_every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let directory = self.clone();
            let mut looking = std::mem::take(&mut attention);
            let look = move || (directory.look(&mut looking, digest, SystemTime::now()), looking);
            let Ok((reading, looked)) = tokio::task::spawn_blocking(look).await else { continue };
            match reading {
                Ok(reading) => {
                    attention = looked;
                    lost = false;
                    if let Some(Reading { snapshot, digest: new }) = reading {
                        digest = new;
                        let snapshot = Arc::new(snapshot);
                        into.publish(Arc::clone(&snapshot));
                        changed(&snapshot);
                    }
                }
                // What was remembered is dropped with it: contents that were not read must not count as seen.
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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::UNIX_EPOCH};

    use tokio::sync::mpsc;

    use super::*;
    use crate::policy::DefaultAccess;

    const SECRET: &str = "apiVersion: spv.no/v1\nkind: AzureKeyVaultSecret\nmetadata: {name: db, namespace: shop}\n\
                          spec: {vault: {name: acme, object: {name: db, type: secret}}}\n";

    fn directory(path: &Path) -> Directory {
        Directory::new(path, crate::policy::testing::defaults(DefaultAccess::Deny))
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

    #[test]
    fn a_rewrite_of_the_same_size_is_seen_however_soon_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        let named = |name: &str| fs::write(&path, SECRET.replace("name: db,", &format!("name: {name},"))).unwrap();
        named("one");
        let directory = directory(dir.path());
        let mut digest = directory.read().unwrap().digest();
        let mut attention = Attention::default();
        for name in ["two", "six", "ten"] {
            assert!(directory.look(&mut attention, digest, SystemTime::now()).unwrap().is_none());
            // Within the tick of the clock in which the file was read.
            named(name);
            let reading = directory.look(&mut attention, digest, SystemTime::now()).unwrap().unwrap();
            assert!(reading.snapshot.secret("shop", name).is_some(), "{name}");
            digest = reading.digest();
        }
    }

    #[test]
    fn a_file_that_was_only_touched_makes_no_new_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        fs::write(&path, SECRET).unwrap();
        let directory = directory(dir.path());
        let digest = directory.read().unwrap().digest();
        let mut attention = Attention::default();
        for second in 0..3 {
            let times = fs::FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(second));
            fs::File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
            assert!(directory.look(&mut attention, digest, SystemTime::now()).unwrap().is_none());
        }
    }

    /// The system's own record of a read: with a modification in the future, each read moves the time of access.
    #[test]
    fn looks_at_what_stays_as_it_is_open_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        fs::write(&path, SECRET).unwrap();
        let times =
            fs::FileTimes::new().set_accessed(UNIX_EPOCH).set_modified(SystemTime::now() + Duration::from_secs(3_600));
        fs::File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        let accessed = || fs::metadata(&path).unwrap().accessed().unwrap();
        // Elsewhere, and returns when a read would get a later time.
        let probe = tempfile::NamedTempFile::new().unwrap();
        let later_than = |time: SystemTime| {
            while fs::write(&probe, "").and_then(|()| fs::metadata(&probe)?.modified()).unwrap() <= time {}
        };
        let directory = directory(dir.path());
        let digest = directory.read().unwrap().digest();
        let first = accessed();
        if first == UNIX_EPOCH {
            return; // Mounted with noatime: no record is kept.
        }
        later_than(first);
        let settled = SystemTime::now() + Duration::from_secs(60);
        let mut attention = Attention::default();
        assert!(directory.look(&mut attention, digest, settled).unwrap().is_none());
        let read = accessed();
        assert!(read > first, "the first look reads");
        later_than(read);
        for _ in 0..5 {
            assert!(directory.look(&mut attention, digest, settled).unwrap().is_none());
        }
        assert_eq!(accessed(), read);
        // And it could have been noticed.
        fs::read(&path).unwrap();
        assert!(accessed() > read);
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
        let (digest, snapshot) = (first.digest(), Arc::new(Current::new(first.snapshot)));
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
