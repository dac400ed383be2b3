//! The custom resources that people write, as they are written: shapes only.
//!
//! Whether a shape makes sense is decided by whoever reads it (the broker's `policy` room for the vault side). Every
//! struct refuses fields it does not know, so that a misspelt `dataKey` is an error instead of silence.

pub mod akvs;
pub mod azure_key_vault;
pub mod meta;

pub use akvs::AzureKeyVaultSecretSpec;
pub use azure_key_vault::AzureKeyVaultSpec;
