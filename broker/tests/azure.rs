//! The Azure side of the broker against real TLS servers on loopback: what is sent, what is accepted, what is refused.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::needless_pass_by_value, reason = "`json!(…)` reads better without a borrow at every call")]

#[path = "azure/answers.rs"]
mod answers;
#[path = "azure/bounds.rs"]
mod bounds;
#[path = "azure/certificates.rs"]
mod certificates;
#[path = "azure/emulated.rs"]
mod emulated;
#[path = "azure/reads.rs"]
mod reads;
#[path = "azure/server.rs"]
mod server;
#[path = "azure/sign_in.rs"]
mod sign_in;
#[path = "azure/world.rs"]
mod world;
