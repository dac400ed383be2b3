//! Server plumbing.
