//! When a vault may be asked: one [`Gate`] for each vault, whoever reads and as whichever identity.
//!
//! | room | holds | I/O |
//! |---|---|---|
//! | `bucket` | how many requests are left, and for which class of caller | none: pure |
//! | `share` | which part of the budget is this replica's | none: pure |
//! | `breaker` | whether the vault is to be left alone, and until when | none: pure |
//!
//! The [`cache`](crate::cache) and the [`poller`](crate::poll) pass the gate before every call and tell it afterwards how
//! the vault answered. A closed gate answers at once: nobody waits out a pause in here. Where only the budget is short,
//! callers of a class wait in line.

mod breaker;
mod bucket;
mod share;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};

pub use breaker::{Answer, BreakerState};
use breaker::{Breaker, Pass};
pub use bucket::Class;
use bucket::{Bucket, PATIENCE};
pub use share::{LENT_FOR, Share, Shares, Undivided};

use crate::vault::ReadError;

/// Calls to one vault under way at once. Each takes a connection of its own, and some 50 KiB with it; with answers in a tenth
/// of a second so many are still more than the usual budget allows.
const IN_FLIGHT: usize = 16;

/// A share may grow while somebody waits.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The way to one vault.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    /// One line for each class; whoever is first in it asks the bucket.
    lines: [tokio::sync::Mutex<()>; Class::ALL.len()],
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    bucket: Bucket,
    breaker: Breaker,
}

/// The vault is to be left alone for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// For how long still.
    pub retry_after: Duration,
    /// Whether it asked for that (429), or failed too often.
    pub throttled: bool,
}

/// The right to one call. Dropped without [`Permit::settle`] it counts as no call.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    pass: Pass,
    settled: bool,
    _place: OwnedSemaphorePermit,
}

/// A moment's view of a gate, for people and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateStatus {
    /// Requests that the budget allows at this moment.
    pub left: u32,
    /// Requests that it allows at most at one moment.
    pub capacity: u32,
    /// Whether calls go out.
    pub breaker: BreakerState,
    /// For how long none does.
    pub retry_after: Option<Duration>,
}

impl Gate {
    /// A gate for this replica's `share` of `budget` requests in any ten seconds.
    pub fn new(budget: u32, share: Share) -> Arc<Self> {
        let state = State { bucket: Bucket::new(budget, share, Instant::now()), breaker: Breaker::default() };
        Arc::new(Self {
            state: Mutex::new(state),
            lines: Default::default(),
            places: Arc::new(Semaphore::new(IN_FLIGHT)),
        })
    }

    /// Another budget from now on.
    pub fn set_budget(&self, budget: u32) {
        self.state().bucket.set_budget(budget, Instant::now());
    }

    /// Another share from now on.
    pub fn set_share(&self, share: Share) {
        self.state().bucket.set_share(share, Instant::now());
    }

    /// What is lent is lent for another [`LENT_FOR`].
    pub fn lend_on(&self) {
        self.state().bucket.lend_on(Instant::now());
    }

    /// The share as it is now.
    pub fn share(&self) -> Share {
        self.state().bucket.share()
    }

    /// Waits for the right to a call that costs `cost` requests; refused at once while the vault is to be left alone.
    pub async fn admit(self: &Arc<Self>, class: Class, cost: u32) -> Result<Permit, Closed> {
        self.state().breaker.check(Instant::now())?;
        let asked = Instant::now();
        // Neither the semaphore nor a line is ever closed.
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
            return Err(Closed { retry_after: Duration::ZERO, throttled: false });
        };
        let _first_in_line = self.line(class).await;
        let mut urgent_line = None;
        loop {
            // Whoever waited long enough waits with the urgent ones: each of them that comes later would take what it needs.
            if class != Class::PodStart && urgent_line.is_none() && asked.elapsed() >= PATIENCE {
                urgent_line = Some(self.line(Class::PodStart).await);
            }
            let wait = {
                let now = Instant::now();
                let State { bucket, breaker } = &mut *self.state();
                breaker.check(now)?;
                match bucket.take(class, cost, now - asked, now) {
                    Ok(()) => {
                        let (gate, pass) = (Arc::clone(self), breaker.pass(now)?);
                        return Ok(Permit { gate, pass, settled: false, _place: place });
                    }
                    Err(wait) => wait,
                }
            };
            sleep(wait.min(LOOK_AGAIN)).await;
        }
    }

    /// Whether a call that was admitted may send its next request: a challenge, a certificate's twin and the next in line
    /// behind a challenge come later than the admission, and the vault may have asked for a pause meanwhile.
    pub fn permitted(&self) -> Result<(), Closed> {
        self.state().breaker.permitted(Instant::now())
    }

    /// One request more than was admitted was sent: a challenge.
    pub fn debit(&self) {
        self.state().bucket.debit(1, Instant::now());
    }

    /// Whether nothing that still counts would be forgotten with it: nothing is spent, and no pause holds.
    pub fn is_rested(&self) -> bool {
        let status = self.status();
        status.left == status.capacity && status.retry_after.is_none()
    }

    /// A moment's view.
    pub fn status(&self) -> GateStatus {
        let now = Instant::now();
        let State { bucket, breaker } = &mut *self.state();
        let closed = breaker.check(now).err();
        GateStatus {
            left: bucket.left(now),
            capacity: bucket.capacity(),
            breaker: breaker.state(now),
            retry_after: closed.map(|closed| closed.retry_after),
        }
    }

    async fn line(&self, class: Class) -> tokio::sync::MutexGuard<'_, ()> {
        self.lines[class as usize].lock().await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// How the call ended.
    pub fn settle<T>(mut self, result: &Result<T, ReadError>) {
        if let Some(answer) = answer(result) {
            self.settled = true;
            self.gate.state().breaker.record(self.pass, answer, Instant::now(), fastrand::f64());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled {
            self.gate.state().breaker.give_back(self.pass);
        }
    }
}

/// What a call says of the vault's health. A refusal is as good an answer as a value; a call that was stopped says nothing.
fn answer<T>(result: &Result<T, ReadError>) -> Option<Answer> {
    match result {
        Err(ReadError::Paused { .. }) => None,
        Err(ReadError::Throttled { retry_after }) => Some(Answer::Throttled { retry_after: *retry_after }),
        Err(ReadError::Unreachable(_) | ReadError::NoToken(_)) => Some(Answer::None),
        Ok(_) | Err(ReadError::NotFound | ReadError::Disabled | ReadError::Forbidden(_) | ReadError::Malformed(_)) => {
            Some(Answer::Given)
        }
    }
}

impl From<Closed> for ReadError {
    fn from(closed: Closed) -> Self {
        Self::Paused { retry_after: closed.retry_after, throttled: closed.throttled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttled(seconds: u64) -> Result<(), ReadError> {
        Err(ReadError::Throttled { retry_after: Some(Duration::from_secs(seconds)) })
    }

    #[tokio::test(start_paused = true)]
    async fn inside_a_pause_nobody_passes_and_after_it_one_goes_first() {
        let gate = Gate::new(1_000, Share::WHOLE);
        gate.admit(Class::PodStart, 1).await.unwrap().settle(&throttled(2));
        let began = Instant::now();
        for class in Class::ALL {
            let closed = gate.admit(class, 1).await.unwrap_err();
            assert!(closed.throttled && closed.retry_after <= Duration::from_secs(3), "{closed:?}");
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "nobody waits out a pause");
        tokio::time::advance(Duration::from_secs(3)).await;
        let probe = gate.admit(Class::ChangeCheck, 1).await.unwrap();
        assert!(gate.admit(Class::PodStart, 1).await.is_err(), "one at a time until it has answered");
        probe.settle(&Ok(()));
        let _both = (gate.admit(Class::PodStart, 1).await.unwrap(), gate.admit(Class::PodStart, 1).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_lets_the_next_one_go() {
        let gate = Gate::new(1_000, Share::WHOLE);
        gate.admit(Class::PodStart, 1).await.unwrap().settle(&throttled(1));
        tokio::time::advance(Duration::from_secs(2)).await;
        drop(gate.admit(Class::PodStart, 1).await.unwrap());
        gate.admit(Class::PodStart, 1).await.unwrap().settle(&Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn no_ten_seconds_see_more_than_the_budget() {
        let gate = Gate::new(100, Share::WHOLE);
        let began = Instant::now();
        let mut sent = Vec::new();
        while began.elapsed() < Duration::from_secs(60) {
            gate.admit(Class::PodStart, 1).await.unwrap().settle(&Ok(()));
            sent.push(began.elapsed());
        }
        let most = sent.iter().map(|from| {
            let until = *from + Duration::from_secs(10);
            sent.iter().filter(|at| *at >= from && **at < until).count()
        });
        assert!(most.max().unwrap() <= 100, "{sent:?}");
        assert!(sent.len() >= 300, "and it is used: {}", sent.len());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_long_enough_is_not_starved_by_urgent_callers_who_never_stop_coming() {
        let gate = Gate::new(100, Share::WHOLE);
        let mut storm = tokio::task::JoinSet::new();
        for _ in 0..60 {
            let gate = Arc::clone(&gate);
            storm.spawn(async move {
                while let Ok(permit) = gate.admit(Class::PodStart, 1).await {
                    permit.settle(&Ok(()));
                }
            });
        }
        tokio::task::yield_now().await;
        for class in [Class::ChangeCheck, Class::Background] {
            let began = Instant::now();
            let permit = tokio::time::timeout(Duration::from_secs(60), gate.admit(class, 2)).await;
            permit.expect("not starved").unwrap().settle(&Ok(()));
            assert!(began.elapsed() < Duration::from_secs(30), "{class:?} {:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_under_way_sends_nothing_more_inside_a_pause_and_says_nothing_of_the_vault() {
        let gate = Gate::new(1_000, Share::WHOLE);
        let (double, other) = (gate.admit(Class::PodStart, 2).await.unwrap(), gate.admit(Class::PodStart, 1).await);
        assert_eq!(gate.permitted(), Ok(()));
        other.unwrap().settle(&throttled(2));
        let closed = gate.permitted().unwrap_err();
        double.settle(&Err::<(), _>(closed.into()));
        assert!(gate.admit(Class::PodStart, 1).await.is_err(), "it has not ended the pause");
        tokio::time::advance(Duration::from_secs(3)).await;
        let probe = gate.admit(Class::PodStart, 2).await.unwrap();
        assert_eq!(gate.permitted(), Ok(()), "a probe may take several requests");
        probe.settle(&Err::<(), _>(closed.into()));
        gate.admit(Class::PodStart, 1).await.unwrap().settle(&Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_waits_hears_of_a_pause_and_waits_no_longer() {
        let gate = Gate::new(10, Share::WHOLE);
        let mut last = gate.admit(Class::PodStart, 1).await.unwrap();
        for _ in 0..4 {
            last.settle(&Ok(()));
            last = gate.admit(Class::PodStart, 1).await.unwrap();
        }
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.admit(Class::Background, 1).await.map(drop) }
        });
        tokio::task::yield_now().await;
        last.settle(&throttled(60));
        assert!(waiting.await.unwrap().is_err());
    }
}
