//! The other replicas, as the cache sees them. They hold copies of what is held here, and this replica copies of what is
//! held there.
//!
//! Everything is told in the order in which it happened here: what is known of a key is decided and told under one lock.

use std::{future::pending, num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Batch, CacheKey, Entry, LoadError};
use crate::policy::VaultId;

/// The other replicas. All but [`Self::read`], [`Self::elsewhere`] and [`Self::prepare`] are told under the cache's lock and
/// must not wait.
#[async_trait]
pub trait Others: Send + Sync {
    /// Reads the object where its vault is owned. `None`: this replica owns it, or nobody better is there: read the vault.
    async fn read(&self, key: &CacheKey) -> Option<Result<Entry, LoadError>>;

    /// Returns once another replica is to be asked about the vault: its budget has gone there, and who waits for it here waits in
    /// vain. Whoever waits because of an object waits on while another replica asks this one for it.
    async fn elsewhere(&self, vault: &VaultId, object: Option<&CacheKey>);

    /// A batch is about to be swapped: returns once every follower holds it back or is lost. Waited for no longer than
    /// [`PREPARED_WITHIN`](super::PREPARED_WITHIN).
    async fn prepare(&self, batch: &Arc<Batch>);

    /// It is swapped here; nobody sees it yet. Keys of it that were refused since are told as forgotten once more.
    fn commit(&self, batch: &Arc<Batch>);

    /// An entry that this replica read lands outside of a batch.
    fn landed(&self, key: &Arc<CacheKey>, entry: &Arc<Entry>, news: News);

    /// The key is not held any more: forgotten, refused or evicted.
    fn forgotten(&self, key: &Arc<CacheKey>);

    /// Everything that is held of the vault and that this replica keeps was confirmed by a round that began then, except for
    /// `unconfirmed`. Whatever was evicted before is told before.
    fn confirmed(&self, vault: &Arc<VaultId>, began: Instant, unconfirmed: &[Arc<CacheKey>]);
}

/// There are no others.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

#[async_trait]
impl Others for Alone {
    async fn read(&self, _: &CacheKey) -> Option<Result<Entry, LoadError>> {
        None
    }
    async fn elsewhere(&self, _: &VaultId, _: Option<&CacheKey>) {
        pending::<()>().await;
    }
    async fn prepare(&self, _: &Arc<Batch>) {}
    fn commit(&self, _: &Arc<Batch>) {}
    fn landed(&self, _: &Arc<CacheKey>, _: &Arc<Entry>, _: News) {}
    fn forgotten(&self, _: &Arc<CacheKey>) {}
    fn confirmed(&self, _: &Arc<VaultId>, _: Instant, _: &[Arc<CacheKey>]) {}
}

/// To whom it is news that an entry has landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// To nobody: what was held says the same.
    Same,
    /// To those who only ask what is known: nothing was held.
    Landed,
    /// To all: another one was held, or whoever asked was told that there is none.
    Changed,
}

/// Who compares an entry with its vault. Only its word confirms it: a copy that nobody compares must become stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeper(pub(super) u32);

impl Keeper {
    /// This replica.
    pub const SELF: Self = Self(0);

    /// Another replica, by the number that it has here.
    pub fn other(number: NonZeroU32) -> Self {
        Self(number.get())
    }
}
