//! Least read, `docs/least-read.md`: the real launcher and the real broker against an API server that plays a part. One file an
//! aspect.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "pod_binding/carried.rs"]
mod carried;
#[path = "pod_binding/outages.rs"]
mod outages;
#[path = "pod_binding/replicas.rs"]
mod replicas;
#[path = "pod_binding/starts.rs"]
mod starts;
#[path = "pod_binding/world.rs"]
mod world;
