//! Objects in memory: read from their vault once however many ask at the same time, and kept until the vault says
//! otherwise.
//!
//! [`crate::resolve`] asks, and only after a grant: nothing here knows who is asking. [`crate::poll`] confirms and
//! replaces.
//!
//! | room | holds |
//! |---|---|
//! | `store` | the entries, within their bound |
//! | `entry` | an object as it was read, and how fresh it is |
//! | `flights` | one read for each key at a time |
//! | `read` | one read of one object: where its vault is owned, or else through the vault's gate |
//! | `landing` | what becomes of the cache by what was read |
//! | `batch` | changes that become visible together |
//! | `transitions` | which keys are being swapped, for those who look up several |
//! | `refusals` | answers that there is nothing to be had, remembered for a moment |
//! | `order` | which of two readings was the later one |
//! | `others` | the other replicas, as the cache sees them |
//! | `totals` | what was counted |
//! | `sync` | what `flights` and `transitions` are built on |
//!
//! **Never an older value after a newer one.** Reads of one key never overlap: whoever wants one while one is under way
//! shares it, or, where it must begin later, waits for its end. So the times at which they began say what the vault said
//! last, and only that lands. moka alone does not give that: neither `insert` nor `invalidate` stops a load that
//! `get_with` has under way, and its older value lands afterwards.

mod batch;
mod entry;
mod flights;
mod landing;
mod order;
mod others;
mod read;
mod refusals;
mod store;
mod sync;
mod totals;
mod transitions;

use std::{
    collections::HashSet,
    hash::{Hash, Hasher},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hashbrown::Equivalent;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

pub use batch::{Batch, Found, HELD_AT_MOST, Held, PREPARED_WITHIN};
pub use entry::{Entry, Freshness, Kept, Served};
use flights::{Flights, Stranded};
use landing::Outcome;
pub use order::ReadAt;
pub use others::{Alone, Keeper, News, Others};
pub(crate) use read::cost;
use refusals::Refusals;
use store::Store;
use totals::Counters;
pub use totals::Totals;
use transitions::Transitions;

use crate::{
    budget::Class,
    changes::Changes,
    object::ObjectId,
    policy::{SecretEntry, VaultEntry, VaultId},
    readers::OpenVault,
    render::RenderError,
    vault::ReadError,
};

/// How long whoever looks waits for swaps, of which each ends within [`HELD_AT_MOST`].
const SETTLES_WITHIN: Duration = Duration::from_secs(3);

/// What an entry is found by. The vault is its canonical origin, so that no second name for it makes a second entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheKey {
    /// Where the object is, and as whom it is read: what one identity may read, another may not.
    pub vault: Arc<VaultId>,
    /// Which it is.
    pub object: Arc<ObjectId>,
}

/// A key to look up by. One is made for every reference of every request: it takes no part in counting who holds what.
#[derive(Clone, Copy, Debug)]
pub struct KeyRef<'a> {
    vault: &'a Arc<VaultId>,
    object: &'a Arc<ObjectId>,
}

impl Hash for CacheKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

impl Hash for KeyRef<'_> {
    /// Of what tells nearly all keys apart.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.vault.origin.hash(state);
        self.object.name.hash(state);
    }
}

impl Equivalent<CacheKey> for KeyRef<'_> {
    fn equivalent(&self, key: &CacheKey) -> bool {
        *self.vault == key.vault && *self.object == key.object
    }
}

impl CacheKey {
    /// Where `secret`, which is in `vault`, is kept.
    pub fn of(secret: &SecretEntry, vault: &VaultEntry) -> Self {
        KeyRef::of(secret, vault).to_key()
    }

    fn borrowed(&self) -> KeyRef<'_> {
        KeyRef { vault: &self.vault, object: &self.object }
    }
}

impl<'a> KeyRef<'a> {
    /// Where `secret`, which is in `vault`, is kept.
    pub fn of(secret: &'a SecretEntry, vault: &'a VaultEntry) -> Self {
        Self { vault: &vault.id, object: &secret.object }
    }

    fn to_key(self) -> CacheKey {
        CacheKey { vault: Arc::clone(self.vault), object: Arc::clone(self.object) }
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
    /// The replica that reads the vault was lost, or does not answer, and so did those that came after it.
    #[error("the replica that reads this vault does not answer; try again")]
    NoOwner,
    /// No moment was found at which nothing of what was asked for was being replaced.
    #[error("what is held is being replaced; try again")]
    Unsettled,
}

/// What a check of one object found.
#[derive(Clone, Debug)]
pub enum Checked {
    /// What was known still holds.
    Same,
    /// It is to be replaced, or no longer served, or is to be had again: to be swapped in with all else that is found.
    Changed(Found),
}

/// The cache. Cloning shares it.
#[derive(Clone)]
pub struct ObjectCache {
    store: Store,
    refusals: Refusals,
    flights: Flights<CacheKey, Outcome>,
    transitions: Transitions<CacheKey>,
    /// One thing after another becomes of the cache.
    landing: Arc<Mutex<()>>,
    tasks: TaskTracker,
    changes: Changes,
    others: Arc<dyn Others>,
    counters: Arc<Counters>,
    max_bytes: u64,
}

impl ObjectCache {
    /// An empty cache that keeps at most `max_bytes` of objects, and no other replica's. Reads run on `tasks`; what was not
    /// held before, and what a swap replaces, is told to `changes`.
    pub fn new(max_bytes: u64, tasks: TaskTracker, changes: Changes) -> Self {
        Self::among(max_bytes, tasks, changes, Arc::new(Alone))
    }

    /// The same, among other replicas.
    pub fn among(max_bytes: u64, tasks: TaskTracker, changes: Changes, others: Arc<dyn Others>) -> Self {
        let told = Arc::clone(&others);
        Self {
            store: Store::new(max_bytes, move |key| told.forgotten(key)),
            refusals: Refusals::default(),
            flights: Flights::new(tasks.clone()),
            transitions: Transitions::default(),
            landing: Arc::default(),
            tasks,
            changes,
            others,
            counters: Arc::new(Counters::default()),
            max_bytes,
        }
    }

    /// The object, from memory or else from `vault`. All who wait for one key share one read and its outcome.
    pub async fn get(&self, key: &CacheKey, vault: &Arc<OpenVault>) -> Result<Served, LoadError> {
        if let Some(served) = self.hit(key, &vault.settings()).await {
            return Ok(served);
        }
        if let Some(error) = self.refusal(key).await {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            return Err(error);
        }
        self.counters.misses.fetch_add(1, Ordering::Relaxed);
        let outcome = self.flights.join(key, |waiting| self.flight(key, vault, waiting)).await?;
        let entry = outcome.answer?;
        if !outcome.landed {
            // A poll's read was under way, and nothing that could be served was held: as cold as any.
            self.land(&Arc::new(key.clone()), &entry).await;
        }
        Ok(Served { entry, stale: None })
    }

    /// Why the object is not to be had, where that was found out a moment ago.
    pub async fn refusal(&self, key: &CacheKey) -> Option<LoadError> {
        self.refusals.standing(key, Instant::now()).await
    }

    /// The object, from memory alone.
    pub async fn hit(&self, key: &CacheKey, vault: &VaultEntry) -> Option<Served> {
        let served = self.peek(key, vault).await;
        self.count(served.iter());
        served
    }

    /// Each of `wanted`, from memory alone and as of one moment: of what a swap replaces, all or nothing.
    pub async fn hits(&self, wanted: &[(KeyRef<'_>, &VaultEntry)]) -> Result<Vec<Option<Served>>, LoadError> {
        let held = self.peeks(wanted).await?;
        self.count(held.iter().flatten());
        Ok(held)
    }

    /// The same, without counting.
    pub async fn peeks(&self, wanted: &[(KeyRef<'_>, &VaultEntry)]) -> Result<Vec<Option<Served>>, LoadError> {
        let keys = wanted.iter().map(|(key, _)| key.to_key());
        let look = self.transitions.steady(keys, || async { self.store.ask_all(wanted, Instant::now()) });
        timeout(SETTLES_WITHIN, look).await.ok().flatten().ok_or(LoadError::Unsettled)
    }

    /// The object as it would be served from memory, without counting. Asks no vault.
    pub async fn peek(&self, key: &CacheKey, vault: &VaultEntry) -> Option<Served> {
        let look = self.transitions.steady(std::iter::once_with(|| key.clone()), || async { self.look(key, vault) });
        match timeout(SETTLES_WITHIN, look).await {
            Ok(Some(held)) => held,
            // One object is right before a swap and after it.
            Ok(None) | Err(_) => self.look(key, vault),
        }
    }

    fn look(&self, key: &CacheKey, vault: &VaultEntry) -> Option<Served> {
        self.store.ask_all(&[(key.borrowed(), vault)], Instant::now()).pop().flatten()
    }

    /// Counts what is served. Once for all of it: every thread of the broker counts here.
    fn count<'a>(&self, served: impl Iterator<Item = &'a Served>) {
        let (mut hits, mut stale_hits) = (0, 0);
        for served in served {
            *(if served.stale.is_some() { &mut stale_hits } else { &mut hits }) += 1;
        }
        self.counters.hits.fetch_add(hits, Ordering::Relaxed);
        self.counters.stale_hits.fetch_add(stale_hits, Ordering::Relaxed);
    }

    /// Reads the object again, beginning now, and says whether anything is to change by it, which nobody sees before it is
    /// [swapped](Self::swap) in. An error means that the vault gave no answer: what was known still holds.
    pub async fn check(&self, key: &Arc<CacheKey>, vault: &Arc<OpenVault>, class: Class) -> Result<Checked, LoadError> {
        let outcome = self.flights.begin(key, |waiting| self.checking_flight(key, vault, class, waiting)).await?;
        match outcome.answer {
            Ok(_) if outcome.landed => Ok(Checked::Same),
            Ok(entry) => Ok(Checked::Changed(Found::Entry(entry))),
            Err(error) if !is_refusal(&error) => Err(error),
            Err(_) if self.holds(key) => Ok(Checked::Changed(Found::Refused(ReadAt::here(outcome.began)))),
            Err(_) => Ok(Checked::Same),
        }
    }

    /// Forgets what nobody may ask for any more.
    pub async fn forget(&self, key: &Arc<CacheKey>) {
        let landing = self.landing.lock().await;
        self.others.forgotten(key);
        self.keep(&landing, key, None).await;
        self.refusals.lift(key).await;
    }

    /// Forgets what `keeper` does not hold any more, if that is who keeps it.
    pub async fn forget_kept_by(&self, keeper: Keeper, key: &CacheKey) {
        let landing = self.landing.lock().await;
        if self.store.get(key).is_some_and(|held| held.keeper() == keeper) {
            self.keep(&landing, key, None).await;
        }
    }

    /// Forgets what nobody holds any more who would compare it.
    pub async fn forget_copy(&self, key: &CacheKey) {
        let landing = self.landing.lock().await;
        self.keep(&landing, key, None).await;
    }

    /// Returns once another replica is to be asked about the vault.
    pub(crate) async fn moved(&self, vault: &VaultId) {
        self.others.elsewhere(vault, None).await;
    }

    /// Everything that is held of the vault and kept by this replica was confirmed by a round that began at `began`, except
    /// for `unconfirmed`: tells the others.
    pub fn confirmed(&self, vault: &Arc<VaultId>, began: Instant, unconfirmed: &[Arc<CacheKey>]) {
        // What was evicted is told by then.
        self.settle();
        self.others.confirmed(vault, began, unconfirmed);
    }

    /// `keeper` has confirmed at `at` whatever it keeps of the vault, except for `unconfirmed`.
    pub fn confirm_all(&self, keeper: Keeper, vault: &VaultId, at: Instant, unconfirmed: &HashSet<Arc<CacheKey>>) {
        for (key, entry) in self.store.iter().filter(|(key, entry)| *key.vault == *vault && entry.keeper() == keeper) {
            if !unconfirmed.contains(&key) {
                entry.confirm(at);
            }
        }
    }

    /// The entry, fresh or not.
    pub fn held(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        self.store.get(key)
    }

    /// Whether there is an entry, fresh or not.
    pub fn holds(&self, key: &CacheKey) -> bool {
        self.store.get(key).is_some()
    }

    /// Every entry, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (Arc<CacheKey>, Arc<Entry>)> + '_ {
        self.store.iter()
    }

    /// Every key that was refused and not lifted since, in no order.
    pub fn refused(&self) -> Vec<(Arc<CacheKey>, LoadError)> {
        self.refusals.all()
    }

    /// Lets the cache finish its own bookkeeping, so that [`Self::totals`] is exact.
    pub fn settle(&self) {
        self.store.settle();
    }
}

impl From<Stranded> for LoadError {
    fn from(stranded: Stranded) -> Self {
        match stranded {
            Stranded::Full => Self::Busy,
            Stranded::GivenUp | Stranded::Stopped => Self::Interrupted,
        }
    }
}

fn is_refusal(error: &LoadError) -> bool {
    matches!(error, LoadError::Read(error) if error.is_refusal())
}

#[cfg(test)]
mod tests;
