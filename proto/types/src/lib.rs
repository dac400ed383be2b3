//! Pure types that every component agrees on: no I/O, no async, no Kubernetes, no gRPC.
//!
//! | room | holds |
//! |---|---|
//! | [`pattern`] | names with `*` |
//! | [`mod@reference`] | the grammar of `NAME@azurekeyvault?QUERY` |
//! | [`names`] | vault, object and version names as Key Vault defines them |
//! | [`secret_bytes`] | a value that cannot be printed and is wiped when dropped |

pub mod names;
pub mod pattern;
pub mod reference;
pub mod secret_bytes;

pub use names::{InvalidName, ObjectKind, ObjectName, ObjectVersion, VaultName};
pub use pattern::Pattern;
pub use reference::{InvalidReference, Reference};
pub use secret_bytes::SecretBytes;
