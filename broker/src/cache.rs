//! Objects in memory, read from their vault once however many ask at the same time.
//!
//! Only [`crate::resolve`] calls it, and only after a grant: nothing here knows who is asking.
//!
//! Bounded by bytes. An object is served for its vault's `refresh_after` and then read again by whoever asks next.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use moka::{Expiry, future::Cache};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    object::{Attributes, Object, ObjectId},
    policy::IdentityChoice,
    render::{self, RenderError},
    vault::{ReadError, VaultReader, origin::Origin},
};
use keyward_types::ObjectVersion;

/// Memory an entry costs beside its content: key, names, bookkeeping of the cache.
const ENTRY_OVERHEAD: usize = 512;

/// Reads under way at once, all vaults together. Beyond it, readers wait their turn.
const MAX_READS: usize = 64;

/// What an entry is found by. The vault is its canonical origin, so that no second name for it makes a second entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey {
    /// Where the object is.
    pub vault: Origin,
    /// Which it is.
    pub object: ObjectId,
    /// As whom it is read, where the vault's declaration says: what one identity may read, another may not.
    pub identity: IdentityChoice,
}

/// An object as it was read.
#[derive(Debug)]
pub struct Entry {
    /// The version read.
    pub version: ObjectVersion,
    /// Its attributes.
    pub attributes: Attributes,
    /// The object.
    pub object: Object,
    /// When it was read, by the wall clock, for people.
    pub read_at: SystemTime,
    read_instant: Instant,
    refresh_after: Duration,
}

impl Entry {
    /// How long ago it was read.
    pub fn age(&self) -> Duration {
        self.read_instant.elapsed()
    }

    /// Estimated bytes of memory.
    pub fn bytes(&self) -> usize {
        self.object.weight() + ENTRY_OVERHEAD
    }
}

/// Why an object is not to be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// The vault did not give it.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The vault gave something that is not what it should be.
    #[error(transparent)]
    Parse(#[from] RenderError),
    /// The broker is stopping, or the reading task failed.
    #[error("the read was given up; try again")]
    Interrupted,
}

/// The cache. Cloning shares it.
#[derive(Clone)]
pub struct ObjectCache {
    entries: Cache<CacheKey, Arc<Entry>>,
    reads: Arc<Semaphore>,
    tasks: TaskTracker,
    counters: Arc<Counters>,
    max_bytes: u64,
}

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A moment's totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Objects held.
    pub entries: u64,
    /// Their estimated memory.
    pub bytes: u64,
    /// The bound on it.
    pub max_bytes: u64,
    /// Answered from memory since the start.
    pub hits: u64,
    /// Waited for a vault since the start.
    pub misses: u64,
}

/// Each entry lives for its own vault's interval, counted from its own read.
struct ByVault;

impl Expiry<CacheKey, Arc<Entry>> for ByVault {
    fn expire_after_create(&self, _: &CacheKey, entry: &Arc<Entry>, _: Instant) -> Option<Duration> {
        Some(entry.refresh_after)
    }

    fn expire_after_update(
        &self,
        _: &CacheKey,
        entry: &Arc<Entry>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.refresh_after)
    }
}

impl ObjectCache {
    /// An empty cache that keeps at most `max_bytes` of objects. Reads run on `tasks`.
    pub fn new(max_bytes: u64, tasks: TaskTracker) -> Self {
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, entry: &Arc<Entry>| u32::try_from(entry.bytes()).unwrap_or(u32::MAX))
            .expire_after(ByVault)
            .build();
        Self {
            entries,
            reads: Arc::new(Semaphore::new(MAX_READS)),
            tasks,
            counters: Arc::new(Counters::default()),
            max_bytes,
        }
    }

    /// The object, from memory or else from its vault. All who wait for one key share one read and its outcome; a
    /// failure is not kept.
    pub async fn get(
        &self,
        key: CacheKey,
        reader: Arc<dyn VaultReader>,
        refresh_after: Duration,
    ) -> Result<Arc<Entry>, LoadError> {
        if let Some(entry) = self.entries.get(&key).await {
            self.counters.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(entry);
        }
        self.counters.misses.fetch_add(1, Ordering::Relaxed);
        let (entries, reads) = (self.entries.clone(), Arc::clone(&self.reads));
        // On a task of its own, so that a caller who goes away does not take the read from those who still wait.
        let load = self.tasks.spawn(async move {
            let object = key.object.clone();
            entries.try_get_with(key, read(reads, reader, object, refresh_after)).await
        });
        load.await.map_err(|_| LoadError::Interrupted)?.map_err(|error| LoadError::clone(&error))
    }

    /// Every entry, in no order.
    pub fn entries(&self) -> Vec<(Arc<CacheKey>, Arc<Entry>)> {
        self.entries.iter().collect()
    }

    /// Totals of this moment.
    pub fn totals(&self) -> Totals {
        Totals {
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
            max_bytes: self.max_bytes,
            hits: self.counters.hits.load(Ordering::Relaxed),
            misses: self.counters.misses.load(Ordering::Relaxed),
        }
    }

    /// Lets the cache finish its own bookkeeping, so that [`Self::totals`] is exact.
    pub async fn settle(&self) {
        self.entries.run_pending_tasks().await;
    }
}

async fn read(
    reads: Arc<Semaphore>,
    reader: Arc<dyn VaultReader>,
    id: ObjectId,
    refresh_after: Duration,
) -> Result<Arc<Entry>, LoadError> {
    let _turn = reads.acquire().await.map_err(|_| LoadError::Interrupted)?;
    let raw = reader.read(&id).await?;
    let (version, attributes) = (raw.version, raw.attributes);
    // A PFX may ask for a million rounds of key derivation: not on a thread that others wait for.
    let parsed = tokio::task::spawn_blocking(move || render::parse(&raw.body)).await;
    let object = parsed.map_err(|_| LoadError::Interrupted)??;
    Ok(Arc::new(Entry {
        version,
        attributes,
        object,
        read_at: SystemTime::now(),
        read_instant: Instant::now(),
        refresh_after,
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use async_trait::async_trait;
    use keyward_types::{ObjectKind, ObjectName, SecretBytes};
    use tokio::sync::Notify;

    use super::*;
    use crate::object::{RawBody, RawObject, RawSecret};

    /// Answers once released, and counts.
    #[derive(Default)]
    struct Gated {
        reads: AtomicUsize,
        started: Notify,
        release: Notify,
        fail: bool,
    }

    #[async_trait]
    impl VaultReader for Gated {
        async fn read(&self, _: &ObjectId) -> Result<RawObject, ReadError> {
            let read = self.reads.fetch_add(1, Ordering::SeqCst);
            self.started.notify_one();
            self.release.notified().await;
            if self.fail {
                return Err(ReadError::Disabled);
            }
            let value = SecretBytes::from(format!("value {read}"));
            Ok(RawObject {
                version: ObjectVersion::new(&"a".repeat(32)).unwrap(),
                attributes: Attributes::default(),
                body: RawBody::Secret(RawSecret { value, content_type: None }),
            })
        }
    }

    fn key(name: &str) -> CacheKey {
        CacheKey {
            vault: Origin::parse("https://acme.vault.azure.net").unwrap(),
            object: ObjectId { kind: ObjectKind::Secret, name: ObjectName::new(name).unwrap(), version: None },
            identity: IdentityChoice::default(),
        }
    }

    const LONG: Duration = Duration::from_secs(600);

    fn ask(
        cache: &ObjectCache,
        vault: &Arc<Gated>,
        name: &str,
    ) -> tokio::task::JoinHandle<Result<Arc<Entry>, LoadError>> {
        let (cache, vault) = (cache.clone(), Arc::clone(vault) as Arc<dyn VaultReader>);
        let key = key(name);
        tokio::spawn(async move { cache.get(key, vault, LONG).await })
    }

    #[tokio::test]
    async fn a_hundred_at_once_cost_one_read() {
        let (cache, vault) = (ObjectCache::new(1 << 20, TaskTracker::new()), Arc::new(Gated::default()));
        let waiting: Vec<_> = (0..100).map(|_| ask(&cache, &vault, "db")).collect();
        vault.started.notified().await;
        vault.release.notify_one();
        for one in waiting {
            assert!(one.await.unwrap().is_ok());
        }
        assert_eq!(vault.reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_caller_who_goes_away_does_not_restart_the_read() {
        let (cache, vault) = (ObjectCache::new(1 << 20, TaskTracker::new()), Arc::new(Gated::default()));
        let first = ask(&cache, &vault, "db");
        vault.started.notified().await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let second = ask(&cache, &vault, "db");
        vault.release.notify_one();
        assert!(second.await.unwrap().is_ok());
        assert_eq!(vault.reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_failure_is_shared_and_not_kept() {
        let (cache, vault) =
            (ObjectCache::new(1 << 20, TaskTracker::new()), Arc::new(Gated { fail: true, ..Gated::default() }));
        for expected in 1..=2 {
            let asked = ask(&cache, &vault, "db");
            vault.release.notify_one();
            assert!(matches!(asked.await.unwrap(), Err(LoadError::Read(ReadError::Disabled))));
            assert_eq!(vault.reads.load(Ordering::SeqCst), expected);
        }
    }

    #[tokio::test]
    async fn the_bound_holds_and_totals_add_up() {
        let (cache, vault) = (ObjectCache::new(4 * 600, TaskTracker::new()), Arc::new(Gated::default()));
        for n in 0..20 {
            let asked = ask(&cache, &vault, &format!("o{n}"));
            vault.release.notify_one();
            asked.await.unwrap().unwrap();
        }
        cache.settle().await;
        let totals = cache.totals();
        assert!(totals.bytes <= totals.max_bytes && totals.entries <= 4, "{totals:?}");
        assert_eq!((totals.hits, totals.misses), (0, 20));
    }
}
