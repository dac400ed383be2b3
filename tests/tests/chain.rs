//! The whole chain with real programs: emulator, broker, launcher. One file an aspect.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "chain/bad_objects.rs"]
mod bad_objects;
#[path = "chain/bad_references.rs"]
mod bad_references;
#[path = "chain/bad_tokens.rs"]
mod bad_tokens;
#[path = "chain/bad_wire.rs"]
mod bad_wire;
#[path = "chain/examples.rs"]
mod examples;
#[path = "chain/lifecycle.rs"]
mod lifecycle;
#[path = "chain/manifests.rs"]
mod manifests;
#[path = "chain/support.rs"]
mod support;
