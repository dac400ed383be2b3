//! Why a vault cannot be opened.

use keyward_crds::azure_key_vault::Cloud;

use crate::vault::{
    credential::InvalidIdentity,
    origin::{InvalidOrigin, Origin},
};

/// Why a vault cannot be opened. Nothing was sent: the configuration is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The origin is of another cloud than was declared.
    #[error("{origin} is in {actual:?}, but {declared:?} is declared for it; correct `cloud` or the vault's URL")]
    Cloud {
        /// The vault.
        origin: Origin,
        /// By its DNS suffix.
        actual: Cloud,
        /// By configuration.
        declared: Cloud,
    },
    /// A custom cloud that is not described.
    #[error(
        "{origin} is in a custom cloud: set AZURE_AUTHORITY_HOST and KEYWARD_AZURE_VAULT_AUDIENCE (where identities sign \
         in, and for which resource)"
    )]
    Custom {
        /// The vault.
        origin: Origin,
    },
    /// The cloud's sign-in host is no origin.
    #[error(transparent)]
    Authority(#[from] InvalidOrigin),
    /// Tenant or client cannot be.
    #[error("the identity for {origin} cannot be used: {cause}")]
    Identity {
        /// The vault.
        origin: Origin,
        /// What is wrong.
        cause: InvalidIdentity,
    },
    /// The SDK refuses the endpoint.
    #[error("{origin} cannot be opened: {cause}")]
    Endpoint {
        /// The vault.
        origin: Origin,
        /// What the SDK says.
        cause: Box<azure_core::Error>,
    },
}
