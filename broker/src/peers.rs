//! The other replicas. Each vault is read and polled by one of them, its owner; the others ask it and hold copies, so that
//! what a vault is asked depends neither on pods nor on replicas, and any of them can go at any time.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`member`] | a replica, as others know it | none: pure |
//! | [`ring`] | who owns what | none: pure |
//! | [`view`] | beats → whom this replica sees, and what that comes to | none: pure |
//! | [`lending`] | what it may spend of a vault's budget | none: pure |
//! | [`encoding`] | objects and errors, to and from messages | none: pure |
//! | [`board`] | the one view of this process, and who is silent | |
//! | [`followers`], [`pieces`] | what became of what is held here → messages to those who follow | |
//! | [`members`], [`slices`] | where others may be | API server |
//! | [`clock`] | when one of them said something | none: pure |
//! | [`link`], [`links`] | the way to one of them, followed as long as it is there | gRPC |
//! | [`mirror`] | what one of them tells, done here too | |
//! | [`others`], [`asked`] | the others as the cache sees them: whom to ask, whom to tell | gRPC |
//! | [`routes`], [`checks`], [`looks`] | to whoever owns a key | gRPC |
//! | [`warmup`] | when a new replica has what the others have | |
//!
//! [`crate::grpc::peers`] is where others come in. `docs/replicas.md` says how all this looks from outside.

pub mod asked;
pub mod board;
pub mod checks;
pub mod clock;
pub mod encoding;
pub mod followers;
pub mod lending;
pub mod link;
pub mod links;
pub mod looks;
pub mod member;
pub mod members;
pub mod mirror;
pub mod others;
pub mod pieces;
pub mod ring;
pub mod routes;
pub mod slices;
pub mod view;
pub mod warmup;

use std::{
    collections::HashSet,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use keyward_proto::MAX_REPLY_BYTES;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use self::{
    asked::Asked,
    board::Board,
    followers::{Event, Followers},
    links::Links,
    member::{MemberId, State},
    others::Reads,
    view::{Peer, Standing},
};
use crate::{
    budget::{Share, Shares},
    cache::Keeper,
    policy::Current,
    readers::Readers,
    vault::origin::Origin,
};

/// The largest message between replicas: a piece, and the largest object that fills it up.
pub const MAX_MESSAGE: usize = MAX_REPLY_BYTES;

/// How long manifests are waited for before others are followed.
const SYNCED_WITHIN: Duration = Duration::from_secs(15);
/// How long the others are given to hear that this replica leaves.
const LEFT_WITHIN: Duration = Duration::from_secs(1);

/// What this replica shares with the others.
#[derive(Debug)]
pub struct Peers {
    /// Whom it sees.
    pub board: Board,
    /// Who follows it.
    pub followers: Arc<Followers>,
    /// Whom it follows.
    pub links: Arc<Links>,
    /// What it is asked for.
    pub asked: Asked,
    reads: Reads,
    keepers: AtomicU32,
    won: AtomicU64,
}

impl Peers {
    /// Nobody is followed yet.
    pub fn new(board: Board) -> Self {
        Self {
            board,
            followers: Arc::default(),
            links: Arc::default(),
            asked: Asked::default(),
            reads: Reads::default(),
            keepers: AtomicU32::new(0),
            won: AtomicU64::new(0),
        }
    }

    /// This replica.
    pub fn own(&self) -> MemberId {
        self.board.standing().own
    }

    /// Another number for another stream's copies.
    fn next_keeper(&self) -> Keeper {
        let number = self.keepers.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Keeper::other(NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX))
    }

    /// How many open vaults this replica has won since the start.
    pub fn won(&self) -> u64 {
        self.won.load(Ordering::Relaxed)
    }

    /// How what was asked of owners has ended.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    async fn until_synced(&self, snapshot: &Current) {
        snapshot.until(Instant::now() + SYNCED_WITHIN, crate::policy::Snapshot::is_complete).await;
    }

    /// Keeps the view and the shares of `readers` as they should be, and tells who follows which vaults are this replica's
    /// from now on. Until `shutdown`.
    pub async fn keep(&self, readers: &Readers, shutdown: CancellationToken) {
        tokio::join!(self.board.keep(readers, shutdown.clone()), self.announce(readers, shutdown));
    }

    async fn announce(&self, readers: &Readers, shutdown: CancellationToken) {
        let mut changes = self.board.watch();
        let mut before = changes.borrow_and_update().clone();
        while let Some(Ok(())) = shutdown.run_until_cancelled(changes.changed()).await {
            let now = changes.borrow_and_update().clone();
            let is_lost = |peer: &&Peer| now.peers.iter().all(|known| known.id != peer.id);
            before.peers.iter().filter(is_lost).for_each(|peer| self.followers.lose(peer.id));
            let open: HashSet<Origin> = readers.all().iter().map(|vault| vault.id().origin.clone()).collect();
            for origin in open {
                let key = origin.to_string();
                if now.owns(&key) && (!before.owns(&key) || is_recognised_anew(&before, &now, &key)) {
                    self.won.fetch_add(1, Ordering::Relaxed);
                    self.followers.tell(&Event::Won(origin));
                }
            }
            before = now;
        }
    }

    /// Says that this replica is about to end, and returns once the others have taken over.
    pub async fn leave(&self) {
        self.board.set_state(State::Leaving);
        let (own, mut standing) = (self.own(), self.board.watch());
        let taken_over = standing.wait_for(|standing| standing.peers.iter().all(|peer| !peer.serving.contains(&own)));
        if timeout(LEFT_WITHIN, taken_over).await.is_err() {
            tracing::warn!("not every replica has heard in time that this one leaves");
        }
    }
}

/// Whether a replica that took another one for the owner of `key` takes this one for it now.
fn is_recognised_anew(before: &Standing, now: &Standing, key: &str) -> bool {
    let took_another = |id| before.peers.iter().any(|peer| peer.id == id && peer.owner(key) != before.own);
    now.peers.iter().any(|peer| peer.owner(key) == now.own && took_another(peer.id))
}

impl Shares for Peers {
    fn share(&self, origin: &Origin) -> Share {
        self.board.share(origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        peers::member::Beat,
        testing::{self, Memory},
    };

    #[tokio::test(start_paused = true)]
    async fn who_is_taken_for_the_owner_again_says_so_though_it_never_took_another_for_it() {
        let peers = Peers::new(Board::alone(2));
        let readers = testing::readers(&Memory::new(0));
        let vault = testing::snapshot(testing::ACME).usable_vaults().next().unwrap();
        readers.open(&vault).unwrap();
        let key = vault.id.origin.to_string();
        let yields = |other: &MemberId| ring::owner(&key, [*other, peers.own()]) == Some(peers.own());
        let other = (1_u64..10_000).map(MemberId::from).find(yields).unwrap();
        let mut following = peers.followers.add(7.into()).unwrap();
        let hear = |serving: &[MemberId]| {
            peers.board.hear(Beat { id: other, state: State::Serving, serving: serving.to_vec() });
        };
        let shutdown = CancellationToken::new();
        let tells = async {
            let within = Duration::from_secs(1);
            for (serving, won) in [(&[other][..], false), (&[other, peers.own()], true), (&[peers.own(), other], false)]
            {
                hear(serving);
                let told = timeout(within, following.next()).await;
                assert_eq!(matches!(told, Ok(Some(Event::Won(_)))), won, "{serving:?}");
            }
            shutdown.cancel();
        };
        tokio::join!(peers.announce(&readers, shutdown.clone()), tells);
    }
}
