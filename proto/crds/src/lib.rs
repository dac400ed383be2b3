//! The custom resources that people write, as they are written.
//!
//! | module | what it is for |
//! |---|---|
//! | [`akvs`] | `AzureKeyVaultSecret`: spec, status, and what the API server checks of it |
//! | [`azure_key_vault`] | `AzureKeyVault`: the same |
//! | [`conditions`] | the names in `status.conditions` |
//! | [`meta`] | the parts of metadata that Keyward reads |
//! | [`crd`] | both kinds as `CustomResourceDefinition`s, and as the templates of `charts/keyward-crds` |
//!
//! Whether a shape makes sense is decided by whoever reads it (the broker's `policy` room for the vault side); the API
//! server refuses early what never can. Every struct of a spec refuses fields it does not know, so that a misspelt
//! `dataKey` is an error instead of silence.
//!
//! The documentation of a field is what `kubectl explain` shows. Why it is so stands in comments.

pub mod akvs;
pub mod azure_key_vault;
pub mod conditions;
pub mod crd;
pub mod meta;
mod rules;

pub use akvs::{AzureKeyVaultSecret, AzureKeyVaultSecretSpec};
pub use azure_key_vault::{AzureKeyVault, AzureKeyVaultSpec};
