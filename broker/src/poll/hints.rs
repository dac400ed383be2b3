//! Word that something has changed in a vault → a look at it before its next round.
//!
//! A hint is not believed: it makes the vault be asked, as often as its budget and the agenda let it. What is not held, and
//! was not refused, is not asked for. So a hint can be given by anybody who is known at all.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use keyward_types::ObjectName;
use tokio::{
    sync::Notify,
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::agenda::{Agenda, Kind};
use crate::vault::origin::Origin;

pub(crate) use super::agenda::Look;

/// With nothing on the agenda there is nothing to do; this only bounds the sleep.
const IDLE: Duration = Duration::from_secs(3_600);
/// After a look that did not end well everything is looked at: what was to be found is found then.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

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

/// What is done when a look is due.
#[async_trait]
pub(crate) trait Looks: Send + Sync + 'static {
    /// Looks. False where not all was seen that was to be seen.
    async fn look(&self, vault: &Origin, look: Look) -> bool;
}

/// A task that follows hints: at most one look of a kind at each vault at a time.
pub struct Follower {
    looks: Arc<dyn Looks>,
    hints: Hints,
    about: HashMap<task::Id, (Origin, Kind)>,
    /// Whether all was seen.
    under_way: JoinSet<bool>,
}

impl Follower {
    /// The task's state, and the way to give it hints.
    pub(crate) fn new(looks: Arc<dyn Looks>) -> (Self, Hints) {
        let hints = Hints::default();
        (Self { looks, hints: hints.clone(), about: HashMap::new(), under_way: JoinSet::new() }, hints)
    }

    /// Follows hints until `shutdown`; looks then under way are dropped, and what they found with them.
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
        let due = self.hints.agenda().begin(Instant::now());
        for (vault, look) in due {
            let (kind, looks, at) = (look.kind(), Arc::clone(&self.looks), vault.clone());
            let begun = self.under_way.spawn(async move { looks.look(&at, look).await });
            self.about.insert(begun.id(), (vault, kind));
        }
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
