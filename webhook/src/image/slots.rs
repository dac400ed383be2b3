//! How many lookups run at a time: in all, and of one namespace, so that a tenant whose registries are slow does not
//! take every place.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const IN_ALL: usize = 32;
const A_NAMESPACE: usize = 8;

/// Places for lookups.
#[derive(Debug)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    namespaces: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// A place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _namespace: (Option<OwnedSemaphorePermit>, Arc<Semaphore>),
    _all: Option<OwnedSemaphorePermit>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(IN_ALL)), namespaces: Mutex::default() }
    }
}

impl Slots {
    /// Waits for a place.
    pub(super) async fn take(&self, namespace: &str) -> Slot {
        let own = self.of(namespace);
        // Neither is ever closed.
        let first = own.clone().acquire_owned().await.ok();
        let all = self.all.clone().acquire_owned().await.ok();
        Slot { _namespace: (first, own), _all: all }
    }

    fn of(&self, namespace: &str) -> Arc<Semaphore> {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = namespaces.get(namespace).and_then(Weak::upgrade) {
            return own;
        }
        namespaces.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(A_NAMESPACE));
        namespaces.insert(namespace.to_owned(), Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn one_namespace_leaves_places_to_others() {
        let slots = Slots::default();
        let mut held: Vec<_> = (0..A_NAMESPACE).map(|_| slots.take("greedy").now_or_never().unwrap()).collect();
        assert!(slots.take("greedy").now_or_never().is_none());
        assert!(slots.take("modest").now_or_never().is_some());
        held.pop();
        assert!(slots.take("greedy").now_or_never().is_some());
    }

    #[test]
    fn namespaces_are_forgotten_when_nothing_of_theirs_runs() {
        let slots = Slots::default();
        for number in 0..1_000 {
            drop(slots.take(&format!("n{number}")).now_or_never().unwrap());
        }
        assert!(slots.namespaces.lock().unwrap().len() <= 1);
        let held: Vec<_> =
            (0..IN_ALL).map(|number| slots.take(&format!("n{number}")).now_or_never().unwrap()).collect();
        assert!(slots.take("late").now_or_never().is_none());
        drop(held);
        assert!(slots.take("late").now_or_never().is_some());
    }
}
