//! Fakes and harnesses for the whole workspace. Nothing here depends on a service crate, so that service crates can
//! take this one as a development dependency.

pub mod admission;
pub mod api;
pub mod bare_root;
pub mod bench;
pub mod bench_broker;
pub mod ca;
pub mod faults;
pub mod fleet;
pub mod footprint;
pub mod launches;
pub mod process;
pub mod programs;
pub mod quickstart;
pub mod registry;
pub mod resilience;
pub mod rotation;
pub mod stand;
pub mod vault;
