//! Three replicas of the real broker, over real sockets: what they cost the vaults, and what becomes of everybody when one of
//! them goes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "replicas/calls.rs"]
mod calls;
#[path = "replicas/changes.rs"]
mod changes;
#[path = "replicas/events.rs"]
mod events;
#[path = "replicas/losses.rs"]
mod losses;
#[path = "replicas/rolling.rs"]
mod rolling;
#[path = "replicas/shop.rs"]
mod shop;
#[path = "replicas/views.rs"]
mod views;
