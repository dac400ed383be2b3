//! One round for each open vault and interval, and at once where an operator asks.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Refresh, Refreshed, here::Here, hints::Looks, round::Rounds};
use crate::{
    cache::ObjectCache,
    peers::view::Standing,
    policy::{Current, VaultId},
    readers::{OpenVault, Readers},
    vault::origin::Origin,
};

/// A round that did not end is tried again after this, unless the vault is left alone for longer or polled more often;
/// twice as late each time, so that one object that makes no sense does not have its whole vault polled for ever.
const RETRY: Duration = Duration::from_secs(10);
/// A vault that was won is left alone for so long.
const SETTLED: Duration = Duration::from_secs(1);
/// Operators who may wait at once.
const MAX_REFRESHES: usize = 16;
/// With nothing open there is nothing to do; this only bounds the sleep.
const IDLE: Duration = Duration::from_secs(3_600);

/// Who owns which vault, as this replica sees it: only the owner polls.
pub type Owned = watch::Receiver<Arc<Standing>>;

/// How to poll.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// An object is read again at least this often, whatever listings say.
    pub reread_after: Duration,
    /// Chance from 0 to 1, which spreads rounds.
    pub chance: fn() -> f64,
}

/// The task that polls. One for the whole broker.
pub struct Poller {
    rounds: Rounds,
    readers: Arc<Readers>,
    chance: fn() -> f64,
    asked: mpsc::Receiver<Asked>,
    owned: Owned,
    due: HashMap<Arc<VaultId>, Instant>,
    running: HashMap<Arc<VaultId>, task::Id>,
    under_way: JoinSet<(Arc<VaultId>, Refreshed)>,
    waiting: Vec<Waiting>,
}

/// Asks the poller for a round.
#[derive(Clone, Debug)]
pub struct Refresher(mpsc::Sender<Asked>);

#[derive(Debug)]
struct Asked {
    vault: Option<Origin>,
    answer: oneshot::Sender<Vec<Refreshed>>,
}

/// An operator, and the rounds that are still to end.
struct Waiting {
    /// Vaults whose next round counts. One that is under way does not: it began before.
    wanted: HashSet<Arc<VaultId>>,
    /// Vaults whose counting round has begun.
    begun: HashSet<Arc<VaultId>>,
    ended: Vec<Refreshed>,
    answer: oneshot::Sender<Vec<Refreshed>>,
}

impl Poller {
    /// The task's state, and the way to ask it for a round.
    pub fn new(
        cache: ObjectCache,
        readers: Arc<Readers>,
        snapshot: Arc<Current>,
        owned: Owned,
        settings: Settings,
    ) -> (Self, Refresher) {
        let (asks, asked) = mpsc::channel(MAX_REFRESHES);
        let rounds = Rounds { cache, snapshot, reread_after: settings.reread_after };
        let poller = Self {
            rounds,
            readers,
            chance: settings.chance,
            asked,
            owned,
            due: HashMap::new(),
            running: HashMap::new(),
            under_way: JoinSet::new(),
            waiting: Vec::new(),
        };
        (poller, Refresher(asks))
    }

    /// What looks at vaults because of hints, whoever owns them.
    pub(crate) fn looks(&self, refresher: &Refresher) -> Arc<dyn Looks> {
        Arc::new(Here::new(self.rounds.clone(), Arc::clone(&self.readers), refresher.clone()))
    }

    /// Polls until `shutdown`; rounds then under way are dropped, and what they found with them.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let next = self.next_due();
            let readers = Arc::clone(&self.readers);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = readers.changed() => {
                    self.rounds.forget_closed(&readers).await;
                    self.look();
                }
                Ok(()) = self.owned.changed() => self.look(),
                Some(asked) = self.asked.recv(), if self.waiting.len() < MAX_REFRESHES => self.ask(asked),
                Some(ended) = self.under_way.join_next() => match ended {
                    Ok((id, refreshed)) => self.ended(&id, &refreshed),
                    Err(error) => self.broke(&error),
                },
                () = sleep_until(next) => self.start_due(),
            }
        }
    }

    fn next_due(&self) -> Instant {
        let due = self.due.iter().filter(|(id, _)| !self.running.contains_key(*id)).map(|(_, due)| *due);
        due.min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// Vaults were opened or closed, are to be polled more often, or have another owner.
    fn look(&mut self) {
        let open = self.readers.all();
        let owned: Vec<_> = open.iter().filter(|vault| self.owns(vault.id())).collect();
        let ids: HashSet<&VaultId> = owned.iter().map(|vault| vault.id().as_ref()).collect();
        self.due.retain(|id, _| ids.contains(id.as_ref()));
        for vault in owned {
            let latest = self.after_interval(vault);
            let due = match self.due.get(vault.id()) {
                Some(due) => latest.min(*due),
                None => self.after_whoever_polled_before(vault, latest),
            };
            self.due.insert(vault.id().clone(), due);
        }
    }

    /// What is held was confirmed by the owner before this one, and is to be confirmed when that one would have. Not at once:
    /// a replica that only seemed lost is back in a moment.
    fn after_whoever_polled_before(&self, vault: &OpenVault, latest: Instant) -> Instant {
        let now = Instant::now();
        let held = self.rounds.cache.entries().filter(|(key, _)| key.vault == *vault.id());
        let oldest = held.map(|(_, entry)| entry.age(now)).max().unwrap_or_default();
        latest.checked_sub(oldest).map_or(now, |due| due.max(now + SETTLED)).min(latest)
    }

    fn owns(&self, id: &VaultId) -> bool {
        self.owned.borrow().owns(&id.origin.to_string())
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        // Whoever woke up late may have lost them.
        let (due, owned) = (&mut self.due, self.owned.borrow().clone());
        due.retain(|id, _| owned.owns(&id.origin.to_string()));
        let due: Vec<Arc<VaultId>> = due.iter().filter(|(_, due)| **due <= now).map(|(id, _)| id.clone()).collect();
        for id in due {
            self.start(id);
        }
    }

    fn start(&mut self, id: Arc<VaultId>) {
        if self.running.contains_key(&id) {
            return;
        }
        let Some(vault) = self.readers.get(&id) else {
            self.due.remove(&id);
            // It was closed meanwhile: there is nothing more to wait for.
            for waiting in &mut self.waiting {
                waiting.wanted.remove(&id);
            }
            return;
        };
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.wanted.contains(&id)) {
            waiting.begun.insert(id.clone());
        }
        let (rounds, of) = (self.rounds.clone(), id.clone());
        let task = self.under_way.spawn(async move {
            let refreshed = rounds.run(&vault).await;
            (of, refreshed)
        });
        self.running.insert(id, task.id());
    }

    fn ended(&mut self, id: &Arc<VaultId>, refreshed: &Refreshed) {
        self.running.remove(id);
        if let Some(error) = &refreshed.error {
            tracing::warn!(vault = %id.origin, error, "not all that is cached could be compared with the vault");
        }
        if let Some(vault) = self.readers.get(id).filter(|_| self.owns(id)) {
            let next = if refreshed.error.is_none() { self.after_interval(&vault) } else { after_failure(&vault) };
            self.due.insert(id.clone(), next);
        }
        for waiting in &mut self.waiting {
            if waiting.begun.contains(id) && waiting.wanted.remove(id) {
                waiting.ended.push(refreshed.clone());
            }
        }
        if self.waiting.iter().any(|one| one.wanted.contains(id)) {
            self.start(id.clone());
        }
        self.answer();
    }

    /// A round panicked: a failure like any other, to whoever waits for it and to the next one.
    fn broke(&mut self, error: &JoinError) {
        tracing::error!(%error, "a round of polling failed");
        let Some(id) = self.running.iter().find(|(_, task)| **task == error.id()).map(|(id, _)| id.clone()) else {
            return;
        };
        let told = "the round failed inside the broker, whose log says more".to_owned();
        if let Some(vault) = self.readers.get(&id) {
            let mut progress = vault.progress();
            progress.fail();
            progress.last_error = Some(told.clone());
        }
        let refreshed = Refreshed { vault: id.origin.clone(), checked: 0, changed: 0, error: Some(told) };
        self.ended(&id, &refreshed);
    }

    fn ask(&mut self, Asked { vault, answer }: Asked) {
        let open = self.readers.all().into_iter().map(|open| open.id().clone());
        let wanted: HashSet<Arc<VaultId>> =
            open.filter(|id| vault.as_ref().is_none_or(|vault| id.origin == *vault)).collect();
        let ids = wanted.clone();
        self.waiting.push(Waiting { wanted, begun: HashSet::new(), ended: Vec::new(), answer });
        for id in ids {
            self.start(id);
        }
        self.answer();
    }

    /// Answers whoever has all rounds, and forgets whoever has gone away.
    fn answer(&mut self) {
        let (over, waiting): (Vec<_>, _) =
            self.waiting.drain(..).partition(|one| one.wanted.is_empty() || one.answer.is_closed());
        self.waiting = waiting;
        for Waiting { mut ended, answer, .. } in over {
            ended.sort_by(|one, other| one.vault.cmp(&other.vault));
            // Who has gone away meanwhile needs no answer.
            let _ = answer.send(ended);
        }
    }

    /// Rounds come a little early and never late: a change is seen within the interval.
    fn after_interval(&self, vault: &OpenVault) -> Instant {
        Instant::now() + vault.settings().poll_interval.mul_f64(0.8 + 0.2 * (self.chance)())
    }
}

fn after_failure(vault: &OpenVault) -> Instant {
    let again = vault.progress().failed_in_a_row.saturating_sub(1);
    let pause = vault.gate().status().retry_after.unwrap_or(RETRY.saturating_mul(1 << again.min(16)));
    Instant::now() + pause.min(vault.settings().poll_interval).max(Duration::from_millis(100))
}

#[async_trait]
impl Refresh for Refresher {
    async fn refresh(&self, vault: Option<&Origin>) -> Vec<Refreshed> {
        let (answer, answered) = oneshot::channel();
        if self.0.send(Asked { vault: vault.cloned(), answer }).await.is_err() {
            return Vec::new();
        }
        answered.await.unwrap_or_default()
    }
}
