//! What [`flights`](super::flights) and [`transitions`](super::transitions) are built on. They take it from here alone, so
//! that `broker/tests/interleavings.rs` can build them on a scheduler that tries orders of events out.

pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

pub(super) use tokio_util::task::TaskTracker;
