//! Supervised tasks: nothing runs detached, nothing ends unnoticed.
//!
//! `main` spawns what the process is made of and hands over to [`Tasks::run_until`]. The first task that fails, panics
//! or just ends brings the others down too, in the same order as a signal does: cancel, wait, abort.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why the process did not end cleanly. The first cause, where there were several; the others are in the log.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A task returned an error.
    #[error("{task} failed: {source}")]
    Failed {
        /// The task's name.
        task: &'static str,
        /// What it returned.
        source: BoxError,
    },
    /// A task panicked. The panic's message is on stderr.
    #[error("{task} panicked")]
    Panicked {
        /// The task's name.
        task: &'static str,
    },
    /// A task returned although nobody had asked it to.
    #[error("{task} ended before it was told to")]
    Ended {
        /// The task's name.
        task: &'static str,
    },
    /// Tasks did not end within the deadline and were aborted.
    #[error("aborted after {deadline:?} of draining: {}", tasks.join(", "))]
    Stuck {
        /// Their names, sorted.
        tasks: Vec<&'static str>,
        /// How long they were given.
        deadline: Duration,
    },
}

struct Task {
    name: &'static str,
    outlives_drain: bool,
}

/// The tasks of a process. Dropping it aborts them all.
#[derive(Default)]
pub struct Tasks {
    running: JoinSet<Result<(), BoxError>>,
    about: HashMap<Id, Task>,
    drain: CancellationToken,
    close: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when ordinary tasks are to finish what they have in hand and return.
    pub fn drain(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Cancelled when the ordinary tasks have ended and those of [`Tasks::spawn_outliving`] are to return.
    pub fn close(&self) -> CancellationToken {
        self.close.clone()
    }

    /// Runs a task that lives until [`Tasks::drain`] is cancelled.
    pub fn spawn<E: Into<BoxError>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.add(Task { name, outlives_drain: false }, task);
    }

    /// Runs a task that lives until [`Tasks::close`] is cancelled: one that others need while they drain, as the admin
    /// port.
    pub fn spawn_outliving<E: Into<BoxError>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.add(Task { name, outlives_drain: true }, task);
    }

    fn add<E: Into<BoxError>>(&mut self, about: Task, task: impl Future<Output = Result<(), E>> + Send + 'static) {
        let handle = self.running.spawn(async move { task.await.map_err(Into::into) });
        self.about.insert(handle.id(), about);
    }

    /// Runs until `signal` completes or a task ends, then drains: cancel, wait at most `deadline` in all, abort.
    pub async fn run_until(mut self, signal: impl Future<Output = ()>, deadline: Duration) -> Result<(), TaskError> {
        let mut first = None;
        tokio::select! {
            () = signal => info!("shutting down"),
            Some(ended) = self.running.join_next_with_id() => self.note(ended, &mut first),
        }
        self.drain.cancel();
        let until = Instant::now() + deadline;
        let drained = self.join_while(|task| !task.outlives_drain, until, &mut first).await;
        if drained {
            self.close.cancel();
        }
        if !drained || !self.join_while(|_| true, until, &mut first).await {
            self.abort(deadline, &mut first).await;
        }
        first.map_or(Ok(()), Err)
    }

    /// Waits until no task is left that `wanted` holds for. False if some are at `until`.
    async fn join_while(&mut self, wanted: fn(&Task) -> bool, until: Instant, first: &mut Option<TaskError>) -> bool {
        while self.about.values().any(wanted) {
            match timeout_at(until, self.running.join_next_with_id()).await {
                Ok(Some(ended)) => self.note(ended, first),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    async fn abort(&mut self, deadline: Duration, first: &mut Option<TaskError>) {
        // Those that were never told to close are not at fault.
        let at_fault = |task: &&Task| self.close.is_cancelled() || !task.outlives_drain;
        let mut tasks: Vec<_> = self.about.values().filter(at_fault).map(|task| task.name).collect();
        tasks.sort_unstable();
        let stuck = TaskError::Stuck { tasks, deadline };
        warn!("{stuck}");
        first.get_or_insert(stuck);
        self.running.shutdown().await;
    }

    fn note(&mut self, ended: Result<(Id, Result<(), BoxError>), JoinError>, first: &mut Option<TaskError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let task = self.about.remove(&id).map_or("task", |task| task.name);
        let fault = match ended {
            Ok((_, Ok(()))) if self.drain.is_cancelled() => return,
            Ok((_, Ok(()))) => TaskError::Ended { task },
            Ok((_, Err(source))) => TaskError::Failed { task, source },
            Err(_) => TaskError::Panicked { task },
        };
        error!("{fault}");
        first.get_or_insert(fault);
    }
}

/// Registers for SIGTERM and SIGINT at once and returns a future that completes at the first of them.
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::{Arc, Mutex};

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    async fn until(token: CancellationToken) -> Result<(), io::Error> {
        token.cancelled().await;
        Ok(())
    }

    async fn panics() -> Result<(), io::Error> {
        ready(()).await;
        panic!("the reason is on stderr")
    }

    #[tokio::test]
    async fn a_signal_drains_and_returns_ok() {
        let mut tasks = Tasks::new();
        tasks.spawn("grpc", until(tasks.drain()));
        tasks.spawn_outliving("admin", until(tasks.close()));
        tasks.run_until(ready(()), LONG).await.unwrap();
    }

    #[tokio::test]
    async fn outliving_tasks_are_told_only_after_the_others_have_ended() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Tasks::new();
        for (name, token) in [("admin", tasks.close()), ("grpc", tasks.drain())] {
            let order = order.clone();
            let task = async move {
                token.cancelled().await;
                // Gives the other every chance to be first.
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                order.lock().unwrap().push(name);
                Ok::<_, io::Error>(())
            };
            if name == "admin" { tasks.spawn_outliving(name, task) } else { tasks.spawn(name, task) }
        }
        tasks.run_until(ready(()), LONG).await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["grpc", "admin"]);
    }

    #[tokio::test]
    async fn the_first_failure_brings_all_down_and_is_named() {
        let mut tasks = Tasks::new();
        tasks.spawn("poller", until(tasks.drain()));
        tasks.spawn("grpc", ready(Err(io::Error::other("address in use"))));
        let error = tasks.run_until(pending(), LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "grpc failed: address in use");
    }

    #[tokio::test]
    async fn a_panic_and_an_early_end_are_failures_too() {
        let mut tasks = Tasks::new();
        tasks.spawn("grpc", panics());
        assert_eq!(tasks.run_until(pending(), LONG).await.unwrap_err().to_string(), "grpc panicked");

        let mut tasks = Tasks::new();
        tasks.spawn("grpc", ready(Ok::<_, io::Error>(())));
        let error = tasks.run_until(pending(), LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "grpc ended before it was told to");
    }

    #[tokio::test]
    async fn a_failure_while_draining_is_reported() {
        let mut tasks = Tasks::new();
        let drain = tasks.drain();
        tasks.spawn("cache", async move {
            drain.cancelled().await;
            Err(io::Error::other("lost"))
        });
        assert_eq!(tasks.run_until(ready(()), LONG).await.unwrap_err().to_string(), "cache failed: lost");
    }

    #[tokio::test]
    async fn tasks_that_do_not_end_are_aborted_and_named() {
        let mut tasks = Tasks::new();
        tasks.spawn("grpc", until(tasks.drain()));
        tasks.spawn("poller", pending::<Result<(), io::Error>>());
        tasks.spawn_outliving("admin", until(tasks.close()));
        let error = tasks.run_until(ready(()), Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(error.to_string(), "aborted after 10ms of draining: poller");
    }
}
