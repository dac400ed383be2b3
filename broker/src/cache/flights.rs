//! One read for each key at a time, on a task of its own: a caller who goes away does not take the read from those who
//! still wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::watch, time::Instant};
use tokio_util::task::TaskTracker;

use super::{CacheKey, Entry, LoadError};

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

impl Outcome {
    /// No request was made.
    pub(super) fn none(error: LoadError) -> Self {
        Self { began: Instant::now(), answer: Err(error), landed: false }
    }
}

type Landing = watch::Sender<Option<Outcome>>;
type Landed = watch::Receiver<Option<Outcome>>;

/// Reads under way or waiting for their vault's budget, at once. Beyond it callers are told to come again.
const MAX_FLIGHTS: usize = 10_000;

/// The reads under way. Cloning shares it.
#[derive(Clone)]
pub(super) struct Flights {
    aloft: Arc<Mutex<HashMap<CacheKey, Arc<Landing>>>>,
    tasks: TaskTracker,
}

/// Those who wait for a read.
pub(super) struct Passengers(Arc<Landing>);

impl Passengers {
    /// Returns once nobody waits any more.
    pub(super) async fn gone(&self) {
        self.0.closed().await;
    }
}

/// Takes the key off the board when its task ends, in whichever way.
struct Board {
    aloft: Arc<Mutex<HashMap<CacheKey, Arc<Landing>>>>,
    key: CacheKey,
}

impl Flights {
    /// Reads run on `tasks`.
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { aloft: Arc::default(), tasks }
    }

    /// The outcome of the read that is under way, or of `read`.
    pub(super) async fn join<F>(&self, key: &CacheKey, read: impl FnOnce(Passengers) -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut read = Some(read);
        for last in [false, true] {
            let (own, landed) = match self.board(key, &mut read) {
                Ok(boarded) => boarded,
                Err(error) => return Outcome::none(error),
            };
            let outcome = outcome(landed).await;
            // Else it was given up for want of callers at the moment at which this one came.
            if own || last || !matches!(outcome.answer, Err(LoadError::Interrupted)) {
                return outcome;
            }
        }
        Outcome::none(LoadError::Interrupted)
    }

    /// The outcome of `read`, which begins once the one that is under way has ended.
    pub(super) async fn begin<F>(&self, key: &CacheKey, read: impl FnOnce(Passengers) -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut read = Some(read);
        loop {
            let (own, landed) = match self.board(key, &mut read) {
                Ok(boarded) => boarded,
                Err(error) => return Outcome::none(error),
            };
            let outcome = outcome(landed).await;
            if own {
                return outcome;
            }
        }
    }

    /// A place in the read that is under way, or else in `read`, which is taken then; and whether it is that.
    fn board<F, R>(&self, key: &CacheKey, read: &mut Option<R>) -> Result<(bool, Landed), LoadError>
    where
        F: Future<Output = Outcome> + Send + 'static,
        R: FnOnce(Passengers) -> F,
    {
        let mut aloft = self.aloft();
        if let Some(landing) = aloft.get(key) {
            return Ok((false, landing.subscribe()));
        }
        let read = read.take().ok_or(LoadError::Interrupted)?;
        Ok((true, self.start(&mut aloft, key, read)?))
    }

    fn start<F>(
        &self,
        aloft: &mut HashMap<CacheKey, Arc<Landing>>,
        key: &CacheKey,
        read: impl FnOnce(Passengers) -> F,
    ) -> Result<Landed, LoadError>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        if self.tasks.is_closed() {
            return Err(LoadError::Interrupted);
        }
        if aloft.len() >= MAX_FLIGHTS {
            return Err(LoadError::Busy);
        }
        let (landing, landed) = watch::channel(None);
        let landing = Arc::new(landing);
        aloft.insert(key.clone(), Arc::clone(&landing));
        let board = Board { aloft: Arc::clone(&self.aloft), key: key.clone() };
        let read = read(Passengers(Arc::clone(&landing)));
        self.tasks.spawn(async move {
            let outcome = read.await;
            // First off the board, then told: whoever hears of the end may begin the next one.
            drop(board);
            landing.send_replace(Some(outcome));
        });
        Ok(landed)
    }

    fn aloft(&self) -> MutexGuard<'_, HashMap<CacheKey, Arc<Landing>>> {
        self.aloft.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.aloft.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

async fn outcome(mut landed: Landed) -> Outcome {
    // Without a sender the task has failed, or was dropped with the runtime.
    let landed = landed.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone());
    landed.unwrap_or_else(|| Outcome::none(LoadError::Interrupted))
}
