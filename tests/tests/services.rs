//! `Sync`, `References`, `Cache` and the bounds of all methods, against the real broker. One file an aspect.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "services/bounds.rs"]
mod bounds;
#[path = "services/cancelled.rs"]
mod cancelled;
#[path = "services/ending.rs"]
mod ending;
#[path = "services/kubernetes.rs"]
mod kubernetes;
#[path = "services/operator.rs"]
mod operator;
#[path = "services/support.rs"]
mod support;
#[path = "services/sync.rs"]
mod sync;
#[path = "services/webhook.rs"]
mod webhook;
