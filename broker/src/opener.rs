//! Opens vaults through the Azure SDK for [`crate::readers`]: by whose identity.

mod identities;

use std::sync::Arc;

pub use self::identities::{Credentials, Identities, Unavailable};
use crate::{
    policy::VaultEntry,
    readers::{Open, VaultObserver},
    vault::{ReadError, VaultReader, azure::AzureVaults},
};

/// Opens by the broker's identity, or that of the vault's declaration.
pub struct AzureOpener {
    /// What all vaults share. It knows the identities in use.
    pub vaults: Arc<AzureVaults>,
    /// The identities that can be.
    pub identities: Identities,
}

impl Open for AzureOpener {
    fn open(&self, vault: &VaultEntry, observer: Arc<VaultObserver>) -> Result<Arc<dyn VaultReader>, ReadError> {
        let identity = self.identities.of(&vault.id.identity).map_err(|unavailable| {
            ReadError::NoToken(format!("AzureKeyVault `{}`: {unavailable}", vault.declared_as))
        })?;
        match self.vaults.connect(&vault.origin, vault.id.cloud, &identity, observer) {
            Ok(reader) => Ok(Arc::new(reader)),
            Err(error) => Err(ReadError::NoToken(error.to_string())),
        }
    }
}
