//! What happened to one vault's objects: every write, every answer that anybody got. No value is in it.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};
use tonic::Code;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(pub usize);

/// A version that was put into the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which object.
    pub object: usize,
    /// The how-manieth of this object, from 1.
    pub number: u64,
    /// Before the vault was told.
    pub began: Instant,
    /// What the vault calls it.
    pub version: String,
}

/// A value that somebody got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Who.
    pub client: Client,
    /// From which replica.
    pub replica: usize,
    /// Of which object it was to be.
    pub object: usize,
    /// Before it was asked for.
    pub sent: Instant,
    /// When it was there.
    pub came: Instant,
    /// The number of the write; `None` where it is no value of this object.
    pub number: Option<u64>,
    /// The version that was named with it, where one was.
    pub version: Option<String>,
}

/// A try that brought no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who.
    pub client: Client,
    /// At which replica.
    pub replica: usize,
    /// Before it was asked.
    pub sent: Instant,
    /// When it was over.
    pub came: Instant,
    /// What the replica said; `None` where it said nothing.
    pub code: Option<Code>,
    /// The reason, for people.
    pub reason: String,
    /// Whether the client gave up with it: a launcher ends then.
    pub last: bool,
}

/// All so far.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// In order of their making.
    pub writes: Vec<Write>,
    /// In order of arrival; those of one client in the order of its asking.
    pub reads: Vec<Read>,
    /// In order of arrival.
    pub failures: Vec<Failure>,
}

impl Events {
    /// The latest write of an object.
    pub fn latest(&self, object: usize) -> Option<&Write> {
        self.writes.iter().rev().find(|write| write.object == object)
    }
}

/// What grows.
#[derive(Default)]
pub struct History {
    events: Mutex<Events>,
    grown: watch::Sender<()>,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("History")
    }
}

impl History {
    /// Notes something.
    pub fn note<T>(&self, note: impl FnOnce(&mut Events) -> T) -> T {
        let noted = note(&mut self.lock());
        self.grown.send_replace(());
        noted
    }

    /// Looks at it.
    pub fn look<T>(&self, look: impl FnOnce(&Events) -> T) -> T {
        look(&self.lock())
    }

    /// Returns once `holds`, and whether it did within `patience`.
    pub async fn until(&self, patience: Duration, holds: impl Fn(&Events) -> bool) -> bool {
        let mut grown = self.grown.subscribe();
        let held = async {
            while !self.look(&holds) {
                // The sender lives as long as `self`.
                let _ = grown.changed().await;
            }
        };
        timeout(patience, held).await.is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
