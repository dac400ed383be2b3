//! The keys that a delivery may show: `key1` and `key2` of a directory, as Kubernetes mounts a Secret. There are two so that
//! one can be changed while senders still show the other.
//!
//! A key itself is not kept: what is shown is compared, in constant time, by an HMAC under a key of this process.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use keyward_kit::once::Once;
use ring::{error::Unspecified, hmac, rand::SystemRandom};
use tokio::{
    task::{JoinError, spawn_blocking},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

const FILES: [&str; 2] = ["key1", "key2"];
/// Too long to be guessed, whatever it is made of.
const MIN: usize = 32;
const MAX: usize = 256;

/// The keys of a directory. Clones share them.
#[derive(Clone)]
pub struct SharedKeys {
    directory: Arc<Path>,
    seal: hmac::Key,
    accepted: Arc<ArcSwap<Vec<hmac::Tag>>>,
}

/// Why there are no keys. Nothing of a key is in it.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{path} is no key: it must have {MIN} to {MAX} visible ASCII characters in one line", path = path.display())]
    Unfit {
        /// Which.
        path: PathBuf,
    },
    /// There is none.
    #[error("{directory} holds neither key1 nor key2", directory = directory.display())]
    None {
        /// Where.
        directory: PathBuf,
    },
    /// Nothing to make the process's own key from.
    #[error("the system gives no random bytes")]
    Randomness,
}

impl From<Unspecified> for KeysError {
    fn from(_: Unspecified) -> Self {
        Self::Randomness
    }
}

impl SharedKeys {
    /// Reads the directory, which must hold a key.
    pub fn load(directory: &Path) -> Result<Self, KeysError> {
        let seal = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?;
        let keys = Self { directory: directory.into(), seal, accepted: Arc::default() };
        keys.reload()?;
        if keys.accepted.load().is_empty() {
            return Err(KeysError::None { directory: directory.to_owned() });
        }
        Ok(keys)
    }

    /// Whether `shown` is one of them.
    pub fn accept(&self, shown: &[u8]) -> bool {
        let matches = |tag: &hmac::Tag| hmac::verify(&self.seal, shown, tag.as_ref()).is_ok();
        self.accepted.load().iter().fold(false, |found, tag| matches(tag) | found)
    }

    /// Reads the directory again; true if it holds something else now. A file that is gone or empty is no key any more; after
    /// an error the keys that were read before stay.
    fn reload(&self) -> Result<bool, KeysError> {
        let keys = FILES.into_iter().filter_map(|file| read(&self.directory.join(file)).transpose());
        let tags: Vec<_> = keys.map(|key| Ok(hmac::sign(&self.seal, &key?))).collect::<Result<_, KeysError>>()?;
        let before = self.accepted.load();
        let is_same = |(one, other): (&hmac::Tag, &hmac::Tag)| one.as_ref() == other.as_ref();
        let same = before.len() == tags.len() && before.iter().zip(&tags).all(is_same);
        if !same {
            self.accepted.store(Arc::new(tags));
        }
        Ok(!same)
    }

    /// Reads it every `period` until `shutdown`: a task for [`keyward_kit::tasks::Tasks`]. A fault that stays is in the log
    /// once.
    pub async fn watch(self, period: Duration, shutdown: CancellationToken) -> Result<(), JoinError> {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut complaints = Once::default();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let keys = self.clone();
            match spawn_blocking(move || keys.reload()).await? {
                Ok(changed) => {
                    complaints.settled();
                    if changed {
                        let accepted = self.accepted.load().len();
                        tracing::info!(accepted, "keys of Event Grid's deliveries were read again");
                    }
                }
                Err(error) if complaints.is_new(&error.to_string()) => {
                    tracing::warn!(%error, "keys of Event Grid's deliveries are as they were");
                }
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// A file's key; `None` where it does not exist or is empty.
fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeysError> {
    let failed = |source| KeysError::File { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // It does not grow, so that no copy of it stays behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX + 4));
    file.take(MAX as u64 + 3).read_to_end(&mut text).map_err(failed)?;
    let key = text.trim_ascii();
    match key.len() {
        0 => Ok(None),
        MIN..=MAX if key.iter().all(u8::is_ascii_graphic) => Ok(Some(Zeroizing::new(key.to_vec()))),
        _ => Err(KeysError::Unfit { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ONE: &str = "kwcanary-key-one-0123456789abcdef";
    const TWO: &str = "kwcanary-key-two-0123456789abcdef";

    fn accepted(keys: &SharedKeys) -> [bool; 2] {
        [ONE, TWO].map(|key| keys.accept(key.as_bytes()))
    }

    #[test]
    fn either_key_is_accepted_and_nothing_like_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key1"), format!("{ONE}\n")).unwrap();
        fs::write(dir.path().join("key2"), TWO).unwrap();
        let keys = SharedKeys::load(dir.path()).unwrap();
        assert_eq!(accepted(&keys), [true, true]);
        for shown in ["", &ONE[1..], &ONE.to_uppercase(), &format!("{ONE}\n"), &format!("{ONE}{TWO}")] {
            assert!(!keys.accept(shown.as_bytes()));
        }
    }

    #[test]
    fn a_key_that_is_changed_or_taken_away_ends_and_a_fault_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = FILES.map(|file| dir.path().join(file));
        fs::write(&first, ONE).unwrap();
        let keys = SharedKeys::load(dir.path()).unwrap();
        assert_eq!(accepted(&keys), [true, false]);
        fs::write(&second, TWO).unwrap();
        assert!(keys.reload().unwrap());
        assert_eq!(accepted(&keys), [true, true]);
        assert!(!keys.reload().unwrap(), "nothing changed");
        fs::write(&first, "").unwrap();
        assert!(keys.reload().unwrap());
        assert_eq!(accepted(&keys), [false, true]);
        fs::write(&first, "short").unwrap();
        assert!(matches!(keys.reload(), Err(KeysError::Unfit { path }) if path == first));
        assert_eq!(accepted(&keys), [false, true]);
        fs::remove_file(&first).unwrap();
        fs::remove_file(&second).unwrap();
        assert!(keys.reload().unwrap());
        assert_eq!(accepted(&keys), [false, false], "with no key nobody is let in");
    }

    #[test]
    fn without_a_key_that_is_long_enough_there_is_nothing_to_start_with() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(SharedKeys::load(dir.path()), Err(KeysError::None { .. })));
        assert!(matches!(SharedKeys::load(&dir.path().join("nowhere")), Err(KeysError::None { .. })));
        for unfit in [&ONE[..MIN - 1], &"x".repeat(MAX + 1), &format!("{ONE} {TWO}"), &format!("{ONE}\u{fc}")] {
            fs::write(dir.path().join("key1"), unfit).unwrap();
            let error = SharedKeys::load(dir.path()).err().unwrap();
            assert!(matches!(&error, KeysError::Unfit { .. }) && !error.to_string().contains("canary"), "an unfit key");
        }
    }
}
