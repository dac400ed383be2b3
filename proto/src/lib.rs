//! The wire: what the broker serves and every other component calls, generated from `keyward/v1/*.proto`.
//!
//! The `.proto` files are the documentation; nothing here adds meaning to them.

use std::ops::RangeInclusive;

/// Package `keyward.v1`.
pub mod v1 {
    #![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated code")]
    tonic::include_proto!("keyward.v1");
}

/// Serialised `FileDescriptorSet` of package `keyward.v1`, for the gRPC reflection service.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/keyward.v1.bin"));

/// The audience a launcher's projected token must carry, exactly.
pub const TOKEN_AUDIENCE: &str = "keyward-broker";

/// The most references one `Resolve` may carry.
pub const MAX_REFERENCES: usize = 1_000;

/// How many bytes a nonce of a `Resolve` has.
pub const NONCE_BYTES: RangeInclusive<usize> = 16..=64;

/// The variable that tells a launcher which container it is in. The webhook writes it, and by it the broker knows pods whose
/// launchers say so.
pub const CONTAINER_VARIABLE: &str = "KEYWARD_CONTAINER";

/// The variable with the names that a container's references had when its pod was created: `NAME` or `NAME?QUERY` each, with
/// commas between them. The webhook writes it, and the broker holds a container to it.
pub const REFERENCES_VARIABLE: &str = "KEYWARD_REFERENCES";

/// The largest request message the broker reads, in bytes.
pub const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// The largest reply message the broker sends and a client should accept, in bytes. A Linux process cannot be started
/// with more environment than a quarter of its stack limit, usually 2 MiB, so a launcher never needs more.
pub const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;

/// Metadata beside `UNAVAILABLE` and `RESOURCE_EXHAUSTED`: the advised wait in milliseconds, for clients that do not read `google.rpc.RetryInfo`.
pub const RETRY_AFTER_METADATA: &str = "retry-after-ms";

/// Metadata of a `Resolve` reply that holds a value which its vault could not confirm in time: for how long at most, in
/// milliseconds. Absent when every value is fresh.
pub const STALE_METADATA: &str = "stale-ms";

/// `google.rpc.ErrorInfo.domain` of every error this system returns.
pub const ERROR_DOMAIN: &str = "keyward.dev";
