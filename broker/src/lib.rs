//! The broker.

pub mod object;
pub mod render;
pub mod vault;
