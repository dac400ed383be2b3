//! Word that something has changed in a vault → a look at it before its next round.
//!
//! A hint is not believed: it makes the vault be asked, as often as its budget and [`Agenda`] let it. What is not held, and
//! was not refused, is not asked for. So a hint can be given by anybody who is known at all.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyward_types::ObjectName;
use tokio::{
    sync::{Notify, Semaphore},
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Refresh, Refresher,
    agenda::{Agenda, Kind, Look},
    round::Rounds,
};
use crate::{readers::Readers, vault::origin::Origin};

/// With nothing on the agenda there is nothing to do; this only bounds the sleep.
const IDLE: Duration = Duration::from_secs(3_600);
/// After a look that the vault did not let end, everything is looked at: what was to be found is found then.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Rounds that hints have made at a time: operators wait in the same line.
const ROUNDS_AT_A_TIME: usize = 4;

/// Something may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The vault, which is declared.
    pub vault: Origin,
    /// What of it.
    pub about: About,
}

/// What may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// The object of this name, of whichever kind.
    Object(ObjectName),
    /// Anything, such as who may read it.
    Vault,
}

/// Takes hints. It waits for nothing and may let any of them go: the next round finds what one was about.
pub trait Hinted: Send + Sync {
    /// Takes one.
    fn hint(&self, hint: Hint);
}

/// Collects hints for the task that follows them. Cloning shares it.
#[derive(Clone, Default)]
pub struct Hints(Arc<Shared>);

#[derive(Default)]
struct Shared {
    agenda: Mutex<Agenda>,
    news: Notify,
}

impl Hints {
    fn agenda(&self) -> MutexGuard<'_, Agenda> {
        self.0.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hinted for Hints {
    fn hint(&self, hint: Hint) {
        self.agenda().want(hint, Instant::now());
        self.0.news.notify_one();
    }
}

/// The task that follows hints. One for the whole broker.
pub struct Follower {
    rounds: Rounds,
    readers: Arc<Readers>,
    refresher: Refresher,
    hints: Hints,
    places: Arc<Semaphore>,
    about: HashMap<task::Id, (Origin, Kind)>,
    /// Whether all was seen that was to be seen.
    under_way: JoinSet<bool>,
}

impl Follower {
    pub(super) fn new(rounds: Rounds, readers: Arc<Readers>, refresher: Refresher) -> (Self, Hints) {
        let hints = Hints::default();
        let follower = Self {
            rounds,
            readers,
            refresher,
            hints: hints.clone(),
            places: Arc::new(Semaphore::new(ROUNDS_AT_A_TIME)),
            about: HashMap::new(),
            under_way: JoinSet::new(),
        };
        (follower, hints)
    }

    /// Follows hints until `shutdown`; looks then under way are dropped, whatever they read is kept.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Infallible> {
        let shared = Arc::clone(&self.hints.0);
        loop {
            let next = self.hints.agenda().next().unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Some(ended) = self.under_way.join_next_with_id() => self.ended(ended),
                () = shared.news.notified() => {}
                () = sleep_until(next) => self.begin(),
            }
        }
    }

    fn begin(&mut self) {
        let looks = self.hints.agenda().begin(Instant::now());
        for (vault, look) in looks {
            let kind = look.kind();
            let begun = match look {
                Look::Objects(names) => self.look_at(&vault, names),
                Look::Round => self.round(&vault),
            };
            self.about.insert(begun, (vault, kind));
        }
    }

    fn look_at(&mut self, vault: &Origin, names: BTreeSet<ObjectName>) -> task::Id {
        let open = self.readers.all().into_iter().filter(|open| open.id().origin == *vault);
        let (open, rounds): (Vec<_>, _) = (open.collect(), self.rounds.clone());
        let look = async move {
            let mut all = true;
            for vault in &open {
                all &= rounds.look_at(vault, &names).await.is_ok();
            }
            all
        };
        self.under_way.spawn(look).id()
    }

    fn round(&mut self, vault: &Origin) -> task::Id {
        let (places, refresher, vault) = (Arc::clone(&self.places), self.refresher.clone(), vault.clone());
        let round = async move {
            // The semaphore is never closed.
            let _place = places.acquire().await;
            refresher.refresh(Some(&vault)).await;
            // One that does not end well is the poller's to begin again.
            true
        };
        self.under_way.spawn(round).id()
    }

    fn ended(&mut self, ended: Result<(task::Id, bool), JoinError>) {
        let (id, all) = ended.unwrap_or_else(|error| {
            tracing::error!(%error, "a look because of a hint failed");
            (error.id(), false)
        });
        let Some((vault, kind)) = self.about.remove(&id) else { return };
        let mut agenda = self.hints.agenda();
        agenda.ended(&vault, kind);
        if !all {
            agenda.want_round(vault, Instant::now() + AFTER_FAILURE);
        }
    }
}
