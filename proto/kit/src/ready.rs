//! Readiness: a process is ready when every start-up task has dropped its guard and it is not draining.
//!
//! Whoever builds the process requires the guards before it starts anything, so that there is no moment at which
//! nothing is pending only because nothing has begun.

use std::fmt;

use tokio::sync::watch;

/// Whether the process should be given work. Clones share it.
#[derive(Clone, Debug)]
pub struct Readiness(watch::Sender<State>);

#[derive(Clone, Debug, Default)]
struct State {
    pending: Vec<&'static str>,
    draining: bool,
}

/// What [`Readiness`] says at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Give it work.
    Ready,
    /// These start-up tasks are not done, in the order they were required.
    Pending(Vec<&'static str>),
    /// It is shutting down and takes no new work.
    Draining,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Pending(names) => write!(f, "waiting for: {}", names.join(", ")),
            Self::Draining => f.write_str("draining"),
        }
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Ready until something is required.
    pub fn new() -> Self {
        Self(watch::Sender::new(State::default()))
    }

    /// Not ready until the guard is dropped.
    #[must_use = "dropping the guard says that the task is done"]
    pub fn require(&self, name: &'static str) -> Guard {
        self.0.send_modify(|state| state.pending.push(name));
        Guard { readiness: self.clone(), name }
    }

    /// Not ready any more, for good.
    pub fn set_draining(&self) {
        self.0.send_modify(|state| state.draining = true);
    }

    /// What holds now.
    pub fn status(&self) -> Status {
        self.0.borrow().status()
    }

    /// Returns when the process is ready. Never, once it is draining.
    pub async fn ready(&self) {
        // It fails only when the sender is gone, and `self` is one.
        let _ = self.0.subscribe().wait_for(|state| state.status() == Status::Ready).await;
    }
}

impl State {
    fn status(&self) -> Status {
        if self.draining {
            Status::Draining
        } else if self.pending.is_empty() {
            Status::Ready
        } else {
            Status::Pending(self.pending.clone())
        }
    }
}

/// One start-up task that is not done. Dropping it says that it is; a task that fails must therefore end the process
/// ([`crate::tasks`] does so), or keep its guard while it tries again.
#[derive(Debug)]
pub struct Guard {
    readiness: Readiness,
    name: &'static str,
}

impl Guard {
    /// Says that the task is done: `drop`, by a name.
    pub fn done(self) {
        drop(self);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.readiness.0.send_modify(|state| {
            if let Some(at) = state.pending.iter().position(|name| *name == self.name) {
                state.pending.remove(at);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_ready_when_every_guard_is_dropped() {
        let readiness = Readiness::new();
        let manifests = readiness.require("manifests");
        let keys = readiness.require("issuer keys");
        assert_eq!(readiness.status(), Status::Pending(vec!["manifests", "issuer keys"]));
        assert_eq!(readiness.status().to_string(), "waiting for: manifests, issuer keys");
        manifests.done();
        assert_eq!(readiness.status(), Status::Pending(vec!["issuer keys"]));
        let (ready, ()) = tokio::join!(readiness.ready(), async { drop(keys) });
        assert_eq!((ready, readiness.status()), ((), Status::Ready));
    }

    #[test]
    fn two_tasks_of_one_name_are_two() {
        let readiness = Readiness::new();
        let (first, second) = (readiness.require("vault"), readiness.require("vault"));
        drop(first);
        assert_eq!(readiness.status(), Status::Pending(vec!["vault"]));
        drop(second);
        assert_eq!(readiness.status(), Status::Ready);
    }

    #[test]
    fn draining_outweighs_everything_and_stays() {
        let readiness = Readiness::new();
        let guard = readiness.require("manifests");
        readiness.set_draining();
        assert_eq!(readiness.status(), Status::Draining);
        drop(guard);
        assert_eq!(readiness.status(), Status::Draining);
    }
}
