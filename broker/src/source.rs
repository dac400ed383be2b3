//! Where manifests come from. A source reads them, builds a [`Snapshot`](crate::policy::Snapshot) and swaps it in; it decides nothing.

pub mod dir;
pub mod kubernetes;
