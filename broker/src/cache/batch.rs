//! Changes that become visible together: what one poll has found, here and, held back until its replica says so, elsewhere.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::timeout};

use super::{Alone, CacheKey, Entry, News, ObjectCache, Others, ReadAt, transitions::Transition};
use crate::policy::VaultId;

/// How long a swap waits for the other replicas: as long as one that says nothing is taken for alive.
pub const PREPARED_WITHIN: Duration = Duration::from_millis(900);

/// How long readers are held back by a replica that then says nothing more. Going forward is always right: what is held
/// back is what the vault said.
pub const HELD_AT_MOST: Duration = Duration::from_secs(1);

/// What was found of one vault, to be swapped in together.
#[derive(Debug)]
pub struct Batch {
    /// The vault.
    pub vault: Arc<VaultId>,
    /// What was found of which key.
    pub changes: Vec<(Arc<CacheKey>, Found)>,
}

/// What was found of one key.
#[derive(Clone, Debug)]
pub enum Found {
    /// It is this now.
    Entry(Arc<Entry>),
    /// The vault refused it, in answer to a request that began then.
    Refused(ReadAt),
}

impl Found {
    /// When the request began that found it.
    pub fn read(&self) -> ReadAt {
        match self {
            Self::Entry(entry) => entry.read_at(),
            Self::Refused(read) => *read,
        }
    }

    fn entry(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Refused(_) => None,
        }
    }
}

/// A batch that readers wait for. Dropping it lets it go forward as [`Self::commit`] does.
#[must_use = "readers wait for what is held until it is committed"]
#[derive(Debug)]
pub struct Held {
    go: oneshot::Sender<oneshot::Sender<()>>,
}

impl Held {
    /// Swaps it in, and returns once that is done.
    pub async fn commit(self) {
        let (done, is_done) = oneshot::channel();
        // Gone is who has swapped it in already, or was stopped with the runtime.
        let _ = self.go.send(done);
        let _ = is_done.await;
    }
}

impl ObjectCache {
    /// Makes all of `batch` visible at once: here, and as far as they can be reached on the other replicas. Runs to its end
    /// whoever waits for it.
    pub async fn swap(&self, batch: Batch) {
        if batch.changes.is_empty() {
            return;
        }
        let (cache, batch) = (self.clone(), Arc::new(batch));
        let swap = self.tasks.spawn(async move {
            // What is read here meanwhile is what was there before, as it is everywhere that does not wait yet.
            if timeout(PREPARED_WITHIN, cache.others.prepare(&batch)).await.is_err() {
                tracing::warn!(vault = %batch.vault.origin, "not all replicas were ready for a swap");
            }
            let transition = cache.begin(&batch);
            cache.apply(transition, &batch, cache.others.as_ref()).await;
        });
        if let Err(error) = swap.await {
            tracing::error!(%error, "a swap failed");
        }
    }

    /// Holds the readers of the batch's keys back until it is committed, or dropped, or [`HELD_AT_MOST`] is over; then it
    /// is swapped in. For what another replica is about to swap.
    pub fn hold(&self, batch: Batch) -> Held {
        let transition = self.begin(&batch);
        let (go, told) = oneshot::channel::<oneshot::Sender<()>>();
        let (cache, batch) = (self.clone(), Arc::new(batch));
        self.tasks.spawn(async move {
            let told = timeout(HELD_AT_MOST, told).await;
            cache.apply(transition, &batch, &Alone).await;
            if let Ok(Ok(done)) = told {
                // Nobody waiting is no error.
                let _ = done.send(());
            }
        });
        Held { go }
    }

    fn begin(&self, batch: &Batch) -> Transition<CacheKey> {
        let keys: HashSet<_> = batch.changes.iter().map(|(key, _)| Arc::clone(key)).collect();
        self.transitions.begin(keys)
    }

    /// Swaps the batch in, ends its transition, and tells whoever listens.
    async fn apply(&self, transition: Transition<CacheKey>, batch: &Arc<Batch>, others: &dyn Others) {
        let landing = self.landing.lock().await;
        let mut landed = Vec::with_capacity(batch.changes.len());
        others.commit(batch);
        for (key, found) in &batch.changes {
            match self.weigh(&landing, key, found.read(), found.entry()).await {
                Some(news) => {
                    self.keep(&landing, key, found.entry()).await;
                    landed.push((Arc::clone(key), news));
                }
                // Something is known that was read later. Where that is a refusal, the others have just been told otherwise.
                None if !self.holds(key) => others.forgotten(key),
                None => {}
            }
        }
        drop(landing);
        drop(transition);
        // Whoever hears of it finds it.
        for (key, news) in landed {
            // To a poll that looked for what changed, nothing is a first reading.
            self.tell(key, if news == News::Landed { News::Changed } else { news });
        }
    }
}
