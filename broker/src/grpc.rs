//! The gRPC edge: requests in, identities checked, replies and statuses out. Everything below it is free of tonic.

pub mod cache;
pub mod errors;
pub mod peer;
pub mod secrets;
