//! What becomes of the cache by what was read.
//!
//! **What was read later wins**, whichever way it comes: from a flight, with a batch, or from another replica. One key's reads
//! never overlap, so the times at which they began order them. Decided, told to the other replicas and kept under one lock:
//! what they hear is in the order in which it happened.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::MutexGuard, time::Instant};

use super::{CacheKey, Entry, Freshness, LoadError, News, ObjectCache, ReadAt, is_refusal, read::Answer};
use crate::{changes::Change, policy::VaultEntry};

/// Two replicas are less apart about when something was read: an earlier version that seems to have been read a little later was not.
const APART: Duration = Duration::from_secs(1);

/// What a read came to.
#[derive(Clone)]
pub(super) struct Outcome {
    /// When its request began: later than whoever wants it came, where it waited for the budget.
    pub(super) began: Instant,
    /// What it brought.
    pub(super) answer: Result<Arc<Entry>, LoadError>,
    /// Whether that is kept already. What a poll brings is kept with all else that it finds.
    pub(super) landed: bool,
}

/// When what was read is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lands {
    /// At once: somebody waits for it.
    AtOnce,
    /// With all else that the same poll finds. What only says again what is held lands at once.
    WithItsBatch,
}

impl ObjectCache {
    /// A read has ended.
    pub(super) async fn settle_read(
        &self,
        key: &Arc<CacheKey>,
        (began, answer): Answer<Entry, LoadError>,
        vault: &VaultEntry,
        lands: Lands,
    ) -> Outcome {
        match answer {
            Ok(entry) => self.take(key, Arc::new(entry), vault, lands).await,
            Err(error) => {
                self.turn_away(key, began, &error, lands).await;
                Outcome { began, answer: Err(error), landed: false }
            }
        }
    }

    /// Keeps what was read, unless what is held is of a newer version and may still be served, or it is to land later.
    async fn take(&self, key: &Arc<CacheKey>, read: Arc<Entry>, vault: &VaultEntry, lands: Lands) -> Outcome {
        let (held, began) = (self.store.get(key), read.read_at().instant);
        if let Some(held) = &held
            && held.is_newer_than(&read)
            && held.freshness(vault, Instant::now()) != Freshness::TooOld
        {
            // A replica of the vault that lags behind, most likely: the object itself never goes back.
            self.counters.older.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(vault = %key.vault.origin, object = %key.object.name, "the vault answered with an older version");
            return Outcome { began, answer: Ok(Arc::clone(held)), landed: true };
        }
        let landed = lands == Lands::AtOnce || held.is_some_and(|held| held.same_as(&read));
        if landed {
            self.land(key, &read).await;
        }
        Outcome { began, answer: Ok(read), landed }
    }

    /// Keeps what this replica read, and tells whoever listens, here and elsewhere.
    pub(super) async fn land(&self, key: &Arc<CacheKey>, read: &Arc<Entry>) {
        let landing = self.landing.lock().await;
        let Some(news) = self.weigh(&landing, key, read.read_at(), Some(read)).await else { return };
        // Before it is kept: should it be evicted at once, that is told behind it.
        self.others.landed(key, read, news);
        self.keep(&landing, key, Some(read)).await;
        drop(landing);
        self.tell(Arc::clone(key), news);
    }

    /// Keeps an entry that landed elsewhere, unless what is known was read later. What it is to those who listen here is at
    /// least what it was `there`.
    pub async fn mirror(&self, key: Arc<CacheKey>, entry: Arc<Entry>, there: News) {
        let landing = self.landing.lock().await;
        if let Some(here) = self.weigh(&landing, &key, entry.read_at(), Some(&entry)).await {
            self.keep(&landing, &key, Some(&entry)).await;
            drop(landing);
            self.tell(key, here.max(there));
        } else if let Some(held) = self.store.get(&key)
            && held.same_as(&entry)
        {
            // Read here, or heard of from another one before: from now on that one keeps it.
            held.keep_by(entry.keeper());
        }
    }

    /// To whom it is news what was found by a request that began at `read`; `None` where what is known was read later.
    pub(super) async fn weigh(
        &self,
        _: &MutexGuard<'_, ()>,
        key: &Arc<CacheKey>,
        read: ReadAt,
        found: Option<&Arc<Entry>>,
    ) -> Option<News> {
        let (held, refused_at) = (self.store.get(key), self.refusals.refused_at(key).await);
        let mut known = held.iter().map(|held| held.read_at()).chain(refused_at.map(ReadAt::here));
        if known.any(|known| known.is_after(read)) {
            return None;
        }
        if let (Some(held), Some(found)) = (&held, found)
            && found.read_at().is_told()
            && held.is_newer_than(found)
            && found.read_at().instant < held.read_at().instant + APART
        {
            return None;
        }
        match (held, found) {
            (None, None) => Some(News::Same),
            // Whoever was told that there is none, with an output or without, does not ask again by itself.
            (None, Some(_)) if self.refusals.remembers(key) => Some(News::Changed),
            (None, Some(_)) => Some(News::Landed),
            (Some(held), Some(found)) if held.same_as(found) => Some(News::Same),
            (Some(_), _) => Some(News::Changed),
        }
    }

    /// Keeps what was weighed.
    pub(super) async fn keep(&self, _: &MutexGuard<'_, ()>, key: &CacheKey, found: Option<&Arc<Entry>>) {
        if let Some(entry) = found {
            self.refusals.lift(key).await;
            self.store.insert(key, entry);
        } else {
            self.store.remove(key);
        }
    }

    /// The object was not given. What a poll is refused ends with its batch.
    async fn turn_away(&self, key: &Arc<CacheKey>, began: Instant, error: &LoadError, lands: Lands) {
        let landing = self.landing.lock().await;
        self.refusals.remember(CacheKey::clone(key), error, began, Instant::now()).await;
        if is_refusal(error)
            && lands == Lands::AtOnce
            && self.weigh(&landing, key, ReadAt::here(began), None).await.is_some_and(|news| news != News::Same)
        {
            self.others.forgotten(key);
            self.keep(&landing, key, None).await;
        }
    }

    /// Another replica has answered, which remembers by itself what is refused.
    pub(super) async fn settle_told(&self, key: &Arc<CacheKey>, (began, answer): Answer<Entry, LoadError>) -> Outcome {
        match answer {
            Ok(entry) => {
                let entry = Arc::new(entry);
                self.mirror(Arc::clone(key), Arc::clone(&entry), News::Same).await;
                Outcome { began, answer: Ok(entry), landed: true }
            }
            Err(error) => {
                let landing = self.landing.lock().await;
                if is_refusal(&error) && self.weigh(&landing, key, ReadAt::here(began), None).await.is_some() {
                    self.keep(&landing, key, None).await;
                }
                Outcome { began, answer: Err(error), landed: false }
            }
        }
    }

    pub(super) fn tell(&self, key: Arc<CacheKey>, news: News) {
        match news {
            News::Same => {}
            News::Landed => self.changes.tell(Change::Landed(key)),
            News::Changed => self.changes.tell(Change::Object(key)),
        }
    }
}
