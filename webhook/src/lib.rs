//! The webhook: rewrites pods whose environment says `NAME@azurekeyvault`, so that the launcher starts first.
//!
//! It holds no value and no Key Vault credential. What it does for one review goes down this table:
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`image`] | what an image starts when the pod does not say | registry, API server |

pub mod image;
