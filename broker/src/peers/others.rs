//! The other replicas, as the cache sees them: whom to ask for an object, and whom to tell what became of one.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use keyward_proto::v1::{ObjectKey, ReadRequest, read_response::Outcome};
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::{
    Peers,
    encoding::{self, vault::of_vault},
    followers::Event,
    link::client,
    links::Way,
    member::{MemberId, State},
    routes::within,
    view::Standing,
};
use crate::{
    cache::{Batch, CacheKey, Entry, LoadError, News, Others},
    policy::VaultId,
};

/// For one answer: the vault may be slow, and its budget short. Who waits for it gives up earlier.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);
/// Owners asked for one object, one after another as they are lost.
const TRIES: usize = 4;
/// Before the same owner is asked again: that it is lost is heard at about the same time as that it does not answer.
const PAUSE: Duration = Duration::from_millis(100);

/// How questions to owners have ended.
#[derive(Debug, Default)]
pub struct Reads {
    /// With an object.
    pub found: AtomicU64,
    /// With why there is none.
    pub refused: AtomicU64,
    /// Without an answer: the owner was lost, or there was another one.
    pub moved: AtomicU64,
    /// Without an answer from any.
    pub failed: AtomicU64,
}

#[async_trait]
impl Others for Peers {
    async fn read(&self, key: &CacheKey) -> Option<Result<Entry, LoadError>> {
        let origin = key.vault.origin.to_string();
        for _ in 0..TRIES {
            self.until_somebody_owns(&origin).await;
            let owner = self.board.standing().owner(&origin);
            let way = self.links.to(owner).filter(|_| owner != self.own())?;
            let answer = tokio::select! {
                biased;
                () = self.asked.holds(key) => return None,
                answer = self.ask(&way, key) => answer,
                () = self.not_owned_by(owner, &origin) => Err(Status::unavailable("the vault has another owner")),
            };
            match answer {
                Ok(answer) => return Some(answer),
                Err(status) => {
                    self.reads.moved.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(replica = %owner, vault = origin, reason = status.message(), "no answer");
                    self.pause(owner, &origin).await;
                }
            }
        }
        self.reads.failed.fetch_add(1, Ordering::Relaxed);
        Some(Err(LoadError::NoOwner))
    }

    async fn elsewhere(&self, vault: &VaultId, object: Option<&CacheKey>) {
        let origin = vault.origin.to_string();
        let mut standing = self.board.watch();
        loop {
            let owner = standing.borrow_and_update().owner(&origin);
            let asks = owner != self.own() && self.links.to(owner).is_some();
            // Those who ask for it take this replica for the owner, and lend it their part.
            if asks && let Some(key) = object {
                self.asked.lets_go_of(key).await;
            }
            if asks && standing.borrow().owner(&origin) == owner {
                return;
            }
            if standing.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    async fn prepare(&self, batch: &Arc<Batch>) {
        self.followers.prepare(batch).await;
    }

    fn commit(&self, batch: &Arc<Batch>) {
        self.followers.commit(batch);
    }

    fn landed(&self, key: &Arc<CacheKey>, entry: &Arc<Entry>, news: News) {
        self.followers.tell(&Event::Landed(Arc::clone(key), Arc::clone(entry), news));
    }

    fn forgotten(&self, key: &Arc<CacheKey>) {
        self.followers.tell(&Event::Forgotten(Arc::clone(key)));
    }

    fn confirmed(&self, vault: &Arc<VaultId>, began: Instant, unconfirmed: &[Arc<CacheKey>]) {
        self.followers.tell(&Event::Confirmed(Arc::clone(vault), began, unconfirmed.into()));
    }
}

impl Peers {
    async fn ask(&self, way: &Way, key: &CacheKey) -> Result<Result<Entry, LoadError>, Status> {
        let object = Some(encoding::of_object(&key.object));
        let wanted = ReadRequest { key: Some(ObjectKey { vault: Some(of_vault(&key.vault)), object }) };
        let garbled = |garbled: encoding::Garbled| Status::internal(garbled.to_string());
        let answer = client(&way.connection).read(within(ANSWER_WITHIN, wanted)).await?.into_inner();
        let said = way.clock.said(answer.said_at, Instant::now());
        match answer.outcome {
            Some(Outcome::Entry(entry)) => {
                self.reads.found.fetch_add(1, Ordering::Relaxed);
                Ok(Ok(encoding::to_entry(Some(entry), way.keeper, said).map_err(garbled)?))
            }
            Some(Outcome::Failure(failure)) => {
                self.reads.refused.fetch_add(1, Ordering::Relaxed);
                Ok(Err(encoding::to_failure(failure)))
            }
            None => Err(garbled(encoding::Garbled("an answer that says nothing"))),
        }
    }

    /// A replica that still looks for the others owns nothing: one of them may hold what is asked for.
    async fn until_somebody_owns(&self, origin: &str) {
        let owned = |standing: &Arc<Standing>| standing.state != State::Warming || !standing.owns(origin);
        // The sender lives as long as this.
        let _ = self.board.watch().wait_for(owned).await;
    }

    /// Returns once the vault has another owner than `owner`.
    async fn not_owned_by(&self, owner: MemberId, origin: &str) {
        let mut standing = self.board.watch();
        if standing.wait_for(|standing| standing.owner(origin) != owner).await.is_err() {
            pending::<()>().await;
        }
    }

    async fn pause(&self, owner: MemberId, origin: &str) {
        tokio::select! {
            () = self.not_owned_by(owner, origin) => {}
            () = sleep(PAUSE) => {}
        }
    }
}
