//! The gRPC edge: requests in, identities checked, replies and statuses out. Everything below it is free of tonic.
//!
//! | room | does |
//! |---|---|
//! | [`roles`], [`guard`] | who may call which method: the table, and the one place that enforces it |
//! | [`bearer`] | a request's token, and who shows bad ones |
//! | [`measured`] | every request counted, by method and code |
//! | [`secrets`] | `Secrets`: what launchers ask |
//! | [`sync`] | `Sync`: what the controller asks |
//! | [`references`] | `References`: what the webhook asks |
//! | [`cache`] | `Cache`: what operators ask |
//! | [`peers`] | `Peers`: what other replicas ask |
//! | [`ending`] | streams of others' services end with the broker |
//! | [`errors`] | the one map from what went wrong to a status |

pub mod bearer;
pub mod cache;
pub mod ending;
pub mod errors;
pub mod guard;
pub mod measured;
pub mod peers;
pub mod references;
pub mod roles;
pub mod secrets;
pub mod sync;

use std::time::SystemTime;

use prost_types::Timestamp;

use crate::milliseconds::milliseconds;

fn timestamp(instant: impl Into<SystemTime>) -> Timestamp {
    Timestamp::from(instant.into())
}
