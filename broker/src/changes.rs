//! What was found out, told to whoever listens: objects that were replaced or are no longer served, objects that are held
//! for the first time, declarations that read otherwise than before. Never a value.
//!
//! Bounded: a listener that is too slow misses changes and is told that it did; nobody waits for it.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::cache::CacheKey;

/// Changes kept for listeners that are a little slow.
const KEPT: usize = 1_024;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The object has another version or other attributes, or is not served any more.
    Object(Arc<CacheKey>),
    /// Somebody's read brought the object into memory: news to those who only ask what is known of it.
    Landed(Arc<CacheKey>),
    /// These secrets, by namespace and name, are admitted otherwise than before, or name another object by their vault's
    /// declaration.
    Secrets(Arc<[(Arc<str>, Arc<str>)]>),
    /// Vaults are declared otherwise: what was denied may be granted now, and the reverse.
    Declarations,
}

/// Where changes are told and heard. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Changes {
    /// Tells everybody who listens now.
    pub fn tell(&self, change: Change) {
        // Nobody listening is no error.
        let _ = self.0.send(change);
    }

    /// Hears of every change from now on.
    pub fn listen(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }
}
