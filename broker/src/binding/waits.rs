//! How many wait for a restart to show: each looks at its pod again and again, so they are bounded, and each container has one
//! at a time. Whoever finds no place comes again.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::ledger::Key;

/// At a time.
const MOST: usize = 256;

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<HashSet<Arc<Key>>>);

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    of: &'a Waits,
    key: Arc<Key>,
}

impl Waits {
    /// A place for `key`, if there is one.
    pub(super) fn enter(&self, key: Arc<Key>) -> Option<Waiting<'_>> {
        let mut all = self.all();
        let enters = all.len() < MOST && all.insert(Arc::clone(&key));
        // Made only where it is one: dropping it gives a place back.
        enters.then(|| Waiting { of: self, key })
    }

    fn all(&self) -> MutexGuard<'_, HashSet<Arc<Key>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.of.all().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Arc<Key> {
        Arc::new(Key { pod_uid: format!("u-{n}"), container: "app".into() })
    }

    #[test]
    fn one_waits_for_each_container_and_so_many_in_all() {
        let waits = Waits::default();
        let first = waits.enter(key(0)).unwrap();
        assert!(waits.enter(key(0)).is_none());
        let others: Vec<_> = (1..MOST).map(|n| waits.enter(key(n)).unwrap()).collect();
        assert!(waits.enter(key(MOST)).is_none());
        drop(first);
        let late = waits.enter(key(MOST)).unwrap();
        drop((others, late));
        assert!(waits.enter(key(0)).is_some() && waits.all().is_empty());
    }
}
