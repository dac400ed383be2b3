//! Objects in memory: read from their vault once however many ask at the same time, and kept until the vault says
//! otherwise.
//!
//! [`crate::resolve`] asks, and only after a grant: nothing here knows who is asking. [`crate::poll`] confirms and
//! replaces.
//!
//! | room | holds |
//! |---|---|
//! | `entry` | an object as it was read, and how fresh it is |
//! | `flights` | one read for each key at a time |
//! | `refusals` | answers that there is nothing to be had, remembered for a moment |
//!
//! **Never an older value after a newer one.** Reads of one key never overlap: whoever wants one while one is under way
//! shares it, or, where it must begin later, waits for its end. So what lands is always what was asked for last. moka
//! alone does not give that: neither `insert` nor `invalidate` stops a load that `get_with` has under way, and its older
//! value lands afterwards. What is kept here is only ever put in by a flight that has ended.

mod entry;
mod flights;
mod refusals;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use keyward_types::{ObjectKind, ObjectVersion};
use moka::future::Cache;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub use entry::{Entry, Freshness, Served};
use flights::{Flights, Passengers};
use refusals::Refusals;

use crate::{
    budget::Class,
    changes::{Change, Changes},
    object::{ObjectId, RawBody, RawObject},
    policy::{SecretEntry, VaultEntry, VaultId},
    readers::OpenVault,
    render::{self, RenderError},
    vault::ReadError,
};

/// What an entry is found by. The vault is its canonical origin, so that no second name for it makes a second entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey {
    /// Where the object is, and as whom it is read: what one identity may read, another may not.
    pub vault: Arc<VaultId>,
    /// Which it is.
    pub object: Arc<ObjectId>,
}

impl CacheKey {
    /// Where `secret`, which is in `vault`, is kept.
    pub fn of(secret: &SecretEntry, vault: &VaultEntry) -> Self {
        Self { vault: Arc::clone(&vault.id), object: Arc::clone(&secret.object) }
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
    /// More reads wait than the broker lets wait.
    #[error("too many reads wait for their vaults already; try again")]
    Busy,
}

/// What a check of one object found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// What was known still holds.
    Same,
    /// It was replaced, or is no longer served, or is to be had again.
    Changed,
}

/// The cache. Cloning shares it.
#[derive(Clone)]
pub struct ObjectCache {
    entries: Cache<CacheKey, Arc<Entry>>,
    refusals: Refusals,
    flights: Flights,
    changes: Changes,
    counters: Arc<Counters>,
    max_bytes: u64,
}

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    stale_hits: AtomicU64,
    misses: AtomicU64,
    refused: AtomicU64,
    older: AtomicU64,
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
    /// Of these, those that the vault could not confirm in time.
    pub stale_hits: u64,
    /// Waited for a vault since the start.
    pub misses: u64,
    /// Refused from memory since the start: the vault had just refused them.
    pub refused: u64,
    /// Answers with a version made before the one held, which were not taken.
    pub older: u64,
}

impl ObjectCache {
    /// An empty cache that keeps at most `max_bytes` of objects. Reads run on `tasks`; what those of callers bring that was
    /// not held before is told to `changes`.
    pub fn new(max_bytes: u64, tasks: TaskTracker, changes: Changes) -> Self {
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, entry: &Arc<Entry>| u32::try_from(entry.bytes()).unwrap_or(u32::MAX))
            .build();
        Self {
            entries,
            refusals: Refusals::default(),
            flights: Flights::new(tasks),
            changes,
            counters: Arc::new(Counters::default()),
            max_bytes,
        }
    }

    /// The object, from memory or else from `vault`. All who wait for one key share one read and its outcome.
    pub async fn get(&self, key: &CacheKey, vault: &Arc<OpenVault>) -> Result<Served, LoadError> {
        if let Some(served) = self.hit(key, &vault.settings()).await {
            return Ok(served);
        }
        if let Some(error) = self.refusals.standing(key, Instant::now()).await {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            return Err(error);
        }
        self.counters.misses.fetch_add(1, Ordering::Relaxed);
        let entry = self.flights.join(key, |waiting| self.flight(key, vault, Class::PodStart, waiting)).await?;
        Ok(Served { entry, stale: None })
    }

    /// The object, from memory alone.
    pub async fn hit(&self, key: &CacheKey, vault: &VaultEntry) -> Option<Served> {
        let served = self.peek(key, vault).await?;
        let counter = if served.stale.is_some() { &self.counters.stale_hits } else { &self.counters.hits };
        counter.fetch_add(1, Ordering::Relaxed);
        Some(served)
    }

    /// The object as it would be served from memory, without counting. Asks no vault.
    pub async fn peek(&self, key: &CacheKey, vault: &VaultEntry) -> Option<Served> {
        let entry = self.entries.get(key).await?;
        match entry.freshness(vault, Instant::now()) {
            Freshness::Fresh => Some(Served { entry, stale: None }),
            Freshness::Stale(since) => Some(Served { entry, stale: Some(since) }),
            Freshness::TooOld => None,
        }
    }

    /// Reads the object again, beginning now, and says whether anything changed by it. An error means that the vault gave
    /// no answer: what was known still holds.
    pub async fn check(&self, key: &CacheKey, vault: &Arc<OpenVault>, class: Class) -> Result<Checked, LoadError> {
        let before = self.entries.get(key).await;
        let read = self.flights.begin(key, |waiting| self.flight(key, vault, class, waiting)).await;
        match (before, read) {
            (Some(before), Ok(after)) => Ok(if before.same_as(&after) { Checked::Same } else { Checked::Changed }),
            (None, Ok(_)) => Ok(Checked::Changed),
            (before, Err(error)) if is_refusal(&error) => {
                Ok(if before.is_some() { Checked::Changed } else { Checked::Same })
            }
            (_, Err(error)) => Err(error),
        }
    }

    /// Forgets what nobody may ask for any more.
    pub async fn forget(&self, key: &CacheKey) {
        self.entries.invalidate(key).await;
        self.refusals.lift(key).await;
    }

    /// Whether there is an entry, fresh or not.
    pub fn holds(&self, key: &CacheKey) -> bool {
        self.entries.contains_key(key)
    }

    /// Every entry, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (Arc<CacheKey>, Arc<Entry>)> + '_ {
        self.entries.iter()
    }

    /// Every key that was refused and not lifted since, in no order.
    pub fn refused(&self) -> Vec<(Arc<CacheKey>, LoadError)> {
        self.refusals.all()
    }

    /// Totals of this moment.
    pub fn totals(&self) -> Totals {
        let Counters { hits, stale_hits, misses, refused, older } = &*self.counters;
        Totals {
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
            max_bytes: self.max_bytes,
            hits: hits.load(Ordering::Relaxed) + stale_hits.load(Ordering::Relaxed),
            stale_hits: stale_hits.load(Ordering::Relaxed),
            misses: misses.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
            older: older.load(Ordering::Relaxed),
        }
    }

    /// Lets the cache finish its own bookkeeping, so that [`Self::totals`] is exact.
    pub async fn settle(&self) {
        self.entries.run_pending_tasks().await;
    }

    /// The read of one key, and what becomes of the cache by it.
    fn flight(
        &self,
        key: &CacheKey,
        vault: &Arc<OpenVault>,
        class: Class,
        waiting: Passengers,
    ) -> impl Future<Output = Result<Arc<Entry>, LoadError>> + Send + 'static {
        let (cache, key, vault) = (self.clone(), key.clone(), Arc::clone(vault));
        async move {
            match read(&vault, &key.object, class, &waiting).await {
                Ok(entry) => Ok(cache.land(key, entry, &vault.settings(), class).await),
                Err(error) => {
                    cache.turn_away(key, &error).await;
                    Err(error)
                }
            }
        }
    }

    /// Keeps what was read, unless what is held is newer and may still be served, and returns what is held then.
    async fn land(&self, key: CacheKey, read: Entry, vault: &VaultEntry, class: Class) -> Arc<Entry> {
        let held = self.entries.get(&key).await;
        if let Some(held) = &held
            && held.is_newer_than(&read)
            && held.freshness(vault, Instant::now()) != Freshness::TooOld
        {
            // A replica of the vault that lags behind, most likely: the object itself never goes back.
            self.counters.older.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(vault = %key.vault.origin, object = %key.object.name, "the vault answered with an older version");
            return Arc::clone(held);
        }
        let entry = Arc::new(read);
        self.entries.insert(key.clone(), Arc::clone(&entry)).await;
        let was_refused = self.refusals.lift(&key).await;
        // What checks find out is told by whoever had them made.
        if class == Class::PodStart {
            self.tell_of(key, held.as_deref(), was_refused, &entry);
        }
        entry
    }

    fn tell_of(&self, key: CacheKey, held: Option<&Entry>, was_refused: bool, landed: &Entry) {
        let key = Arc::new(key);
        match held {
            // Whoever was told that there is none, with an output or without, does not ask again by itself.
            None if was_refused => self.changes.tell(Change::Object(key)),
            None => self.changes.tell(Change::Landed(key)),
            Some(held) if !held.same_as(landed) => self.changes.tell(Change::Object(key)),
            Some(_) => {}
        }
    }

    async fn turn_away(&self, key: CacheKey, error: &LoadError) {
        if is_refusal(error) {
            self.entries.invalidate(&key).await;
        }
        self.refusals.remember(key, error, Instant::now()).await;
    }
}

fn is_refusal(error: &LoadError) -> bool {
    matches!(error, LoadError::Read(error) if error.is_refusal())
}

/// Reads one object through its vault's gate. A refusal of the identity counts once it is confirmed with a new token.
async fn read(vault: &OpenVault, object: &ObjectId, class: Class, waiting: &Passengers) -> Result<Entry, LoadError> {
    let (mut began, mut answer) = read_once(vault, object, class, waiting).await?;
    if let Err(ReadError::Forbidden(reason)) = &answer {
        (began, answer) = if vault.renew().await {
            read_once(vault, object, class, waiting).await?
        } else {
            let told = format!("the vault refuses the one in use ({reason}), and no new one is to be had");
            (began, Err(ReadError::NoToken(told)))
        };
    }
    let raw = answer?;
    let (version, attributes, stamp): (ObjectVersion, _, _) = (raw.version, raw.attributes, raw.stamp);
    let object = match raw.body {
        // A PFX may ask for a million rounds of key derivation: not on a thread that others wait for.
        body @ RawBody::Certificate { .. } => {
            tokio::task::spawn_blocking(move || render::parse(&body)).await.map_err(|_| LoadError::Interrupted)?
        }
        body => render::parse(&body),
    }?;
    Ok(Entry::new(version, attributes, stamp, object, began))
}

/// One call, and when it began: after whatever wait for the budget.
async fn read_once(
    vault: &OpenVault,
    object: &ObjectId,
    class: Class,
    waiting: &Passengers,
) -> Result<(Instant, Result<RawObject, ReadError>), LoadError> {
    // A call that was sent is not taken back. One that still waits for the budget is, once nobody wants it.
    let permit = tokio::select! {
        permit = vault.gate().admit(class, cost(object)) => permit,
        () = waiting.gone() => return Err(LoadError::Interrupted),
    };
    let permit = match permit {
        Ok(permit) => permit,
        Err(closed) => return Ok((Instant::now(), Err(closed.into()))),
    };
    let began = Instant::now();
    let answer = vault.reader().read(object).await;
    permit.settle(&answer);
    Ok((began, answer))
}

/// Requests that one read takes.
pub(crate) fn cost(object: &ObjectId) -> u32 {
    // A certificate is read together with its twin among the secrets.
    if object.kind == ObjectKind::Certificate { 2 } else { 1 }
}

#[cfg(test)]
mod tests;
