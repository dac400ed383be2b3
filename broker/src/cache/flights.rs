//! One read for each key at a time, on a task of its own: a caller who goes away does not take the read from those who
//! still wait.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, PoisonError},
};

use tokio::sync::watch;

use super::sync::{Mutex, MutexGuard, TaskTracker};

/// Reads under way or waiting for their vault's budget, at once. Beyond it callers are told to come again.
const MAX_FLIGHTS: usize = 10_000;

/// The reads under way: each of a `K`, bringing a `T`. Cloning shares them.
pub(super) struct Flights<K: Eq + Hash, T> {
    aloft: Aloft<K, T>,
    tasks: TaskTracker,
}

type Aloft<K, T> = Arc<Mutex<HashMap<K, Arc<Landing<T>>>>>;
type Landing<T> = watch::Sender<Option<Outcome<T>>>;
type Landed<T> = watch::Receiver<Option<Outcome<T>>>;
type Outcome<T> = Result<T, Stranded>;

/// Why a read brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranded {
    /// Too many are under way.
    Full,
    /// It was given up: nobody waited for it any more.
    GivenUp,
    /// The broker is stopping, or the reading task failed.
    Stopped,
}

/// Those who wait for a read.
pub(super) struct Passengers<T>(Arc<Landing<T>>);

impl<T> Passengers<T> {
    /// Returns once nobody waits any more.
    pub(super) async fn gone(&self) {
        self.0.closed().await;
    }
}

/// Takes the key off the board when its task ends, in whichever way.
struct Board<K: Eq + Hash, T> {
    aloft: Aloft<K, T>,
    key: K,
}

impl<K: Eq + Hash, T> Clone for Flights<K, T> {
    fn clone(&self) -> Self {
        Self { aloft: Arc::clone(&self.aloft), tasks: self.tasks.clone() }
    }
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Reads run on `tasks`.
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { aloft: Arc::default(), tasks }
    }

    /// The outcome of the read that is under way, or of `read`. A read ends with `None` where it was given up.
    pub(super) async fn join<F>(&self, key: &K, read: impl FnOnce(Passengers<T>) -> F) -> Outcome<T>
    where
        F: Future<Output = Option<T>> + Send + 'static,
    {
        let mut read = Some(read);
        loop {
            let (own, landed) = self.board(key, &mut read)?;
            match outcome(landed).await {
                // For want of callers, at the moment at which this one came; or it was a poll's, whose vault has moved.
                Err(Stranded::GivenUp) if !own => {}
                ended => return ended,
            }
        }
    }

    /// The outcome of `read`, which begins once the one that is under way has ended.
    pub(super) async fn begin<F>(&self, key: &K, read: impl FnOnce(Passengers<T>) -> F) -> Outcome<T>
    where
        F: Future<Output = Option<T>> + Send + 'static,
    {
        let mut read = Some(read);
        loop {
            let (own, landed) = self.board(key, &mut read)?;
            let outcome = outcome(landed).await;
            if own {
                return outcome;
            }
        }
    }

    /// A place in the read that is under way, or else in `read`, which is taken then; and whether it is that.
    fn board<F, R>(&self, key: &K, read: &mut Option<R>) -> Result<(bool, Landed<T>), Stranded>
    where
        F: Future<Output = Option<T>> + Send + 'static,
        R: FnOnce(Passengers<T>) -> F,
    {
        let mut aloft = lock(&self.aloft);
        if let Some(landing) = aloft.get(key) {
            return Ok((false, landing.subscribe()));
        }
        let read = read.take().ok_or(Stranded::Stopped)?;
        Ok((true, self.start(&mut aloft, key, read)?))
    }

    fn start<F>(
        &self,
        aloft: &mut HashMap<K, Arc<Landing<T>>>,
        key: &K,
        read: impl FnOnce(Passengers<T>) -> F,
    ) -> Result<Landed<T>, Stranded>
    where
        F: Future<Output = Option<T>> + Send + 'static,
    {
        if self.tasks.is_closed() {
            return Err(Stranded::Stopped);
        }
        if aloft.len() >= MAX_FLIGHTS {
            return Err(Stranded::Full);
        }
        let (landing, landed) = watch::channel(None);
        let landing = Arc::new(landing);
        aloft.insert(key.clone(), Arc::clone(&landing));
        let board = Board { aloft: Arc::clone(&self.aloft), key: key.clone() };
        let read = read(Passengers(Arc::clone(&landing)));
        self.tasks.spawn(async move {
            let outcome = read.await.ok_or(Stranded::GivenUp);
            // First off the board, then told: whoever hears of the end may begin the next one.
            drop(board);
            landing.send_replace(Some(outcome));
        });
        Ok(landed)
    }
}

impl<K: Eq + Hash, T> Drop for Board<K, T> {
    fn drop(&mut self) {
        lock(&self.aloft).remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn outcome<T: Clone>(mut landed: Landed<T>) -> Outcome<T> {
    // Without a sender the task has failed, or was dropped with the runtime.
    let landed = landed.wait_for(Option::is_some).await.map_err(|_| Stranded::Stopped)?;
    landed.clone().unwrap_or(Err(Stranded::Stopped))
}
