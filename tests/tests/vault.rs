//! The emulator over its real wire: by the official Rust SDK, and by raw HTTP where the SDK hides what matters.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "vault/broken.rs"]
mod broken;
#[path = "vault/changes.rs"]
mod changes;
#[path = "vault/control.rs"]
mod control;
#[path = "vault/identity.rs"]
mod identity;
#[path = "vault/lists.rs"]
mod lists;
#[path = "vault/objects.rs"]
mod objects;
#[path = "vault/rest.rs"]
mod rest;
#[path = "vault/sdk.rs"]
mod sdk;
#[path = "vault/socket.rs"]
mod socket;
#[path = "vault/support.rs"]
mod support;
#[path = "vault/trouble.rs"]
mod trouble;
