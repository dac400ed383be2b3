//! What Keyward promises while a vault changes, throttles or is away: exact counts, with the real programs. One file an
//! aspect.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "resilience/changes.rs"]
mod changes;
#[path = "resilience/polls.rs"]
mod polls;
