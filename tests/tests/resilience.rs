//! What Keyward promises while a vault changes, throttles or is away: exact counts, with the real programs. One file an
//! aspect.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "resilience/authority.rs"]
mod authority;
#[path = "resilience/changes.rs"]
mod changes;
#[path = "resilience/launches.rs"]
mod launches;
#[path = "resilience/outages.rs"]
mod outages;
#[path = "resilience/polls.rs"]
mod polls;
#[path = "resilience/refusals.rs"]
mod refusals;
#[path = "resilience/stampede.rs"]
mod stampede;
#[path = "resilience/storms.rs"]
mod storms;
#[path = "resilience/support.rs"]
mod support;
