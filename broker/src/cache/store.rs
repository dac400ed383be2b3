//! What is held, by key: a map for those who look, and beside it moka, which says what has to go for what is new.
//!
//! To say so, moka notes whatever is looked up through it, which costs several times what a look into a map does, and ten objects
//! are looked up for one pod. So it is told of what is asked for, but of each object once in [`NOTED_EVERY`]: in how
//! many minutes it was asked for, and in which one last, tells a busy object from an idle one as well as every look does.
//!
//! What is in one is in the other, but for the moment between two steps. Whoever changes what is held does so one at a time;
//! what moka throws out meanwhile leaves the map too, unless something newer is there by then.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hashbrown::HashMap;
use moka::{notification::RemovalCause, sync::Cache};
use tokio::time::Instant;

use super::{CacheKey, Entry, Freshness, KeyRef, Served};
use crate::{milliseconds::milliseconds, policy::VaultEntry};

/// How often it is noted of one object that it is asked for.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Entries by key, within a bound on their bytes. Cloning shares them.
#[derive(Clone)]
pub(super) struct Store {
    places: Arc<Places>,
    room: Cache<CacheKey, Arc<Entry>>,
    began: Instant,
}

/// Its hash is fast and not made against people who look for collisions: only what a vault has given gets in.
#[derive(Default)]
struct Places(RwLock<HashMap<CacheKey, Place>>);

struct Place {
    entry: Arc<Entry>,
    /// When moka last heard of it: milliseconds after [`Store::began`].
    noted: AtomicU64,
}

impl Store {
    /// Holds at most `max_bytes`. What is thrown out for something else is told to `evicted`.
    pub(super) fn new(max_bytes: u64, evicted: impl Fn(&Arc<CacheKey>) + Send + Sync + 'static) -> Self {
        let places = Arc::<Places>::default();
        let thrown_out = Arc::clone(&places);
        let room = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, entry: &Arc<Entry>| u32::try_from(entry.bytes()).unwrap_or(u32::MAX))
            .eviction_listener(move |key: Arc<CacheKey>, entry, cause| {
                if cause == RemovalCause::Size {
                    thrown_out.remove_this(&key, &entry);
                    evicted(&key);
                }
            })
            .build();
        Self { places, room, began: Instant::now() }
    }

    /// What is served of `wanted` to somebody who asks for all of it at `now`; in their order.
    pub(super) fn ask_all(&self, wanted: &[(KeyRef<'_>, &VaultEntry)], now: Instant) -> Vec<Option<Served>> {
        let noted = milliseconds(now.saturating_duration_since(self.began));
        let mut to_note = Vec::new();
        let held = self.places.read(|places| {
            // All is found and looked at before any of it is taken: what the processor waits for comes from memory for several at
            // once then, which counting one more who holds an entry would stop.
            let found: Vec<_> = wanted.iter().map(|(key, _)| places.get(key)).collect();
            let fresh =
                |(place, (_, vault)): (Option<&Place>, &(_, &VaultEntry))| Some(place?.entry.freshness(vault, now));
            let fresh: Vec<_> = found.iter().copied().zip(wanted).map(fresh).collect();
            for (place, (key, _)) in found.iter().zip(wanted) {
                if place.is_none_or(|place| place.is_to_be_noted(noted)) {
                    to_note.push(key);
                }
            }
            found.into_iter().zip(fresh).map(|(place, fresh)| served(&place?.entry, fresh?)).collect()
        });
        for key in to_note {
            // What is missing too: what is often asked for is worth the room of what is not.
            self.room.get(key);
        }
        held
    }

    /// The entry, for the broker itself: this is not noted.
    pub(super) fn get(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        self.places.read(|places| places.get(key).map(|place| Arc::clone(&place.entry)))
    }

    /// Holds `entry` instead of what was there, as far as there is room.
    pub(super) fn insert(&self, key: &CacheKey, entry: &Arc<Entry>) {
        let noted = AtomicU64::new(milliseconds(self.began.elapsed()));
        // Into the map first: what is thrown out at once is found there.
        self.places.write(|places| places.insert(key.clone(), Place { entry: Arc::clone(entry), noted }));
        self.room.insert(key.clone(), Arc::clone(entry));
    }

    /// Holds nothing there any more.
    pub(super) fn remove(&self, key: &CacheKey) {
        self.places.write(|places| places.remove(key));
        self.room.invalidate(key);
    }

    /// Every entry, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Arc<CacheKey>, Arc<Entry>)> + '_ {
        self.room.iter()
    }

    /// How many are held, and their bytes; exact once it is [settled](Self::settle).
    pub(super) fn size(&self) -> (u64, u64) {
        (self.room.entry_count(), self.room.weighted_size())
    }

    /// Finishes what moka does later: afterwards all that has to go is gone.
    pub(super) fn settle(&self) {
        self.room.run_pending_tasks();
    }
}

impl Places {
    fn read<R>(&self, look: impl FnOnce(&HashMap<CacheKey, Place>) -> R) -> R {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What `change` takes out is dropped when nobody waits for it any more.
    fn write<R>(&self, change: impl FnOnce(&mut HashMap<CacheKey, Place>) -> R) -> R {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn remove_this(&self, key: &CacheKey, entry: &Arc<Entry>) {
        self.write(|places| {
            let is_this = places.get(key).is_some_and(|place| Arc::ptr_eq(&place.entry, entry));
            if is_this { places.remove(key) } else { None }
        });
    }
}

fn served(entry: &Arc<Entry>, freshness: Freshness) -> Option<Served> {
    let stale = match freshness {
        Freshness::Fresh => None,
        Freshness::Stale(since) => Some(since),
        Freshness::TooOld => return None,
    };
    Some(Served { entry: Arc::clone(entry), stale })
}

impl Place {
    /// Whether it was not noted for long enough. Says so to one of those who ask at once.
    fn is_to_be_noted(&self, now: u64) -> bool {
        let noted = self.noted.load(Ordering::Relaxed);
        now.saturating_sub(noted) >= milliseconds(NOTED_EVERY)
            && self.noted.compare_exchange(noted, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Mutex};

    use super::*;
    use crate::{cache::Keeper, policy, testing, vault::testing::secret};

    const VAULT: &str = "{vaultName: acme, maxStale: 24h}";

    fn key(name: &str) -> CacheKey {
        CacheKey { vault: Arc::clone(&policy::testing::vault(VAULT).id), object: Arc::new(secret(name)) }
    }

    fn entry() -> Arc<Entry> {
        Arc::new(testing::entry('a', Keeper::SELF))
    }

    fn ask<const N: usize>(store: &Store, names: &[&str; N], now: Instant) -> [Option<Arc<Entry>>; N] {
        let (keys, vault) = (names.map(key), policy::testing::vault(VAULT));
        let wanted: Vec<_> = keys.iter().map(|key| (key.borrowed(), &*vault)).collect();
        let found: Vec<_> = store.ask_all(&wanted, now).into_iter().map(|found| Some(found?.entry)).collect();
        found.try_into().unwrap()
    }

    /// Room for so many entries, and what was thrown out.
    fn store(room: usize) -> (Store, Arc<Mutex<Vec<String>>>) {
        let evicted = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&evicted);
        let bytes = u64::try_from(room * entry().bytes()).unwrap();
        (Store::new(bytes, move |key| heard.lock().unwrap().push(key.object.name.to_string())), evicted)
    }

    fn names(store: &Store) -> BTreeSet<String> {
        store.places.read(|places| places.keys().map(|key| key.object.name.to_string()).collect())
    }

    #[test]
    fn what_is_thrown_out_leaves_the_map_and_is_told() {
        let (store, evicted) = store(10);
        let all: BTreeSet<_> = (0..100).map(|n| format!("s{n}")).collect();
        for name in &all {
            store.insert(&key(name), &entry());
        }
        store.settle();
        let (held, evicted) = (names(&store), evicted.lock().unwrap().iter().cloned().collect::<BTreeSet<_>>());
        assert_eq!(held.len(), 10);
        assert_eq!(held, store.iter().map(|(key, _)| key.object.name.to_string()).collect());
        assert_eq!(evicted, &all - &held);
    }

    #[test]
    fn what_is_newer_than_what_was_thrown_out_stays() {
        let (store, _) = store(10);
        let (older, newer) = (entry(), entry());
        store.insert(&key("s1"), &newer);
        store.places.remove_this(&key("s1"), &older);
        assert!(Arc::ptr_eq(&store.get(&key("s1")).unwrap(), &newer));
        store.places.remove_this(&key("s1"), &newer);
        assert!(store.get(&key("s1")).is_none());
    }

    #[test]
    fn what_is_removed_is_told_to_nobody() {
        let (store, evicted) = store(10);
        store.insert(&key("s1"), &entry());
        store.insert(&key("s1"), &entry());
        store.remove(&key("s1"));
        store.settle();
        assert_eq!((store.size(), names(&store).len(), evicted.lock().unwrap().len()), ((0, 0), 0, 0));
    }

    #[test]
    fn what_is_asked_for_every_minute_outlives_what_is_not() {
        let (store, _) = store(10);
        store.insert(&key("busy"), &entry());
        for minute in 1..=100 {
            let now = Instant::now() + NOTED_EVERY * minute;
            let name = format!("s{minute}");
            assert_eq!(ask(&store, &["busy", &name], now).map(|found| found.is_some()), [true, false], "{minute}");
            store.insert(&key(&name), &entry());
            store.settle();
        }
    }

    #[test]
    fn an_object_is_noted_once_a_minute_whoever_asks() {
        let place = Place { entry: entry(), noted: AtomicU64::new(5_000) };
        for (now, noted) in
            [(0, false), (5_001, false), (64_999, false), (65_000, true), (65_001, false), (125_000, true)]
        {
            assert_eq!(place.is_to_be_noted(now), noted, "{now}");
        }
    }

    #[test]
    fn several_are_found_in_the_order_asked() {
        let (store, _) = store(10);
        let (one, two) = (entry(), entry());
        store.insert(&key("s1"), &one);
        store.insert(&key("s2"), &two);
        let found = ask(&store, &["s2", "s3", "s1"], Instant::now());
        assert!(found[0].as_ref().is_some_and(|found| Arc::ptr_eq(found, &two)));
        assert!(found[1].is_none());
        assert!(found[2].as_ref().is_some_and(|found| Arc::ptr_eq(found, &one)));
    }
}
