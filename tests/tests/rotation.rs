//! Certificates that come and go under calls that never pause: the real programs, and nobody notices. One file an aspect.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "rotation/by_hand.rs"]
mod by_hand;
#[path = "rotation/leaders.rs"]
mod leaders;
#[path = "rotation/losses.rs"]
mod losses;
#[path = "rotation/support.rs"]
mod support;
#[path = "rotation/turns.rs"]
mod turns;
