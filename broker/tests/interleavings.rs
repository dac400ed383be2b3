//! Orders of events tried out: `flights` and `transitions` of the broker's cache, built on a scheduler that decides at each
//! lock, atomic and wait who goes on. `KEYWARD_INTERLEAVINGS` says how many orders of each story are tried.
//!
//! What waits inside of tokio's channels is not cut up any further; that they work is taken from their own tests.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "../src/cache/flights.rs"]
mod flights;
#[path = "../src/cache/transitions.rs"]
mod transitions;

#[path = "interleavings/hand_over.rs"]
mod hand_over;
#[path = "interleavings/single_flight.rs"]
mod single_flight;
#[path = "interleavings/swaps.rs"]
mod swaps;

/// What the broker's `cache/sync.rs` is, on the scheduler's own.
mod sync {
    pub(crate) use shuttle::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    };

    /// Tasks of the scheduler.
    #[derive(Clone, Default)]
    pub(crate) struct TaskTracker;

    #[expect(clippy::unused_self, reason = "it stands for one that is asked")]
    impl TaskTracker {
        pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            shuttle::future::spawn(task);
        }

        pub(crate) fn is_closed(&self) -> bool {
            false
        }
    }
}

/// Orders tried of each story: some at random, and some with few changes of whoever goes on, at places that matter.
fn try_orders(story: impl Fn() + Send + Sync + Copy + 'static) {
    let orders = std::env::var("KEYWARD_INTERLEAVINGS").ok().and_then(|orders| orders.parse().ok()).unwrap_or(300);
    shuttle::check_random(story, orders);
    shuttle::check_pct(story, orders, 3);
}
