//! Which keys are being swapped at this moment, so that whoever looks up several sees all of a swap or none of it.
//!
//! Readers take no lock while nothing is swapped: they note the moment, look everything up, and look again if a swap has
//! begun meanwhile. Whoever swaps begins before the first key and ends after the last one. So a reader who has seen
//! any of it either began behind its end or notices that it began.

use std::{
    collections::HashSet,
    hash::Hash,
    sync::{Arc, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering};

/// How often a look is repeated because a swap began meanwhile. Looks take microseconds and swaps are seconds apart.
const LOOKS: usize = 32;

/// One more has begun: the upper half counts, and wraps; the lower half says how many are under way.
const BEGUN: u64 = (1 << 32) + 1;

/// The swaps under way. Cloning shares them.
pub(super) struct Transitions<K>(Arc<Inner<K>>);

struct Inner<K> {
    state: AtomicU64,
    under_way: Mutex<Vec<Arc<Swap<K>>>>,
}

struct Swap<K> {
    keys: HashSet<Arc<K>>,
    over: CancellationToken,
}

/// A swap that is under way until this is dropped.
pub(super) struct Transition<K> {
    all: Arc<Inner<K>>,
    swap: Arc<Swap<K>>,
}

/// Which swaps had begun when it was noted.
#[derive(Clone, Copy, Debug)]
struct Moment(u64);

impl<K> Clone for Transitions<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Transitions<K> {
    fn default() -> Self {
        Self(Arc::new(Inner { state: AtomicU64::new(0), under_way: Mutex::new(Vec::new()) }))
    }
}

impl<K: Eq + Hash> Transitions<K> {
    /// From now on `keys` are swapped.
    pub(super) fn begin(&self, keys: HashSet<Arc<K>>) -> Transition<K> {
        let swap = Arc::new(Swap { keys, over: CancellationToken::new() });
        let mut under_way = self.0.under_way();
        under_way.push(Arc::clone(&swap));
        // Before the first key is touched: whoever sees that key sees this too.
        self.0.state.fetch_add(BEGUN, Ordering::AcqRel);
        drop(under_way);
        Transition { all: Arc::clone(&self.0), swap }
    }

    /// What `look` sees of `keys` from one moment to another between which no swap begins: of every swap all or nothing.
    /// `None` where there was no such time. No key is asked for while nothing is being swapped.
    pub(super) async fn steady<F: Future>(
        &self,
        keys: impl Iterator<Item = K> + Clone,
        mut look: impl FnMut() -> F,
    ) -> Option<F::Output> {
        for _ in 0..LOOKS {
            let moment = self.settled(keys.clone()).await;
            let seen = look().await;
            if self.state() >> 32 == moment.0 >> 32 {
                return Some(seen);
            }
        }
        None
    }

    /// A moment at which none of `keys` is being swapped.
    async fn settled(&self, keys: impl Iterator<Item = K> + Clone) -> Moment {
        loop {
            let moment = Moment(self.state());
            match self.of(moment, &keys) {
                None => return moment,
                Some(swap) => swap.over.cancelled().await,
            }
        }
    }

    fn state(&self) -> u64 {
        self.0.state.load(Ordering::Acquire)
    }

    /// A swap of one of `keys` that was under way at the moment, and is now.
    fn of(&self, moment: Moment, keys: &(impl Iterator<Item = K> + Clone)) -> Option<Arc<Swap<K>>> {
        if moment.0 & u64::from(u32::MAX) == 0 {
            return None;
        }
        let under_way = self.0.under_way();
        under_way.iter().find(|swap| keys.clone().any(|key| swap.keys.contains(&key))).cloned()
    }
}

impl<K> Inner<K> {
    fn under_way(&self) -> MutexGuard<'_, Vec<Arc<Swap<K>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Drop for Transition<K> {
    fn drop(&mut self) {
        let mut under_way = self.all.under_way();
        under_way.retain(|swap| !Arc::ptr_eq(swap, &self.swap));
        self.all.state.fetch_sub(1, Ordering::AcqRel);
        drop(under_way);
        self.swap.over.cancel();
    }
}
