//! Opens vaults through the Azure SDK for [`crate::readers`]: whose identity, which requests are counted.

use std::{sync::Arc, time::Duration};

use crate::{
    policy::VaultEntry,
    readers::{Open, VaultObserver},
    vault::{
        ReadError, VaultReader,
        azure::AzureVaults,
        credential::IdentityConfig,
        observe::{Operation, RequestObserver},
    },
};

/// Opens by the broker's identity, or that of the vault's declaration.
pub struct AzureOpener {
    /// What all vaults share.
    pub vaults: AzureVaults,
    /// The broker's own identity.
    pub identity: IdentityConfig,
}

impl Open for AzureOpener {
    fn open(&self, vault: &VaultEntry, observer: Arc<VaultObserver>) -> Result<Arc<dyn VaultReader>, ReadError> {
        let identity = self.identity.clone().for_vault(vault.tenant_id.as_deref(), vault.client_id.as_deref());
        match self.vaults.connect(&vault.origin, vault.cloud, &identity, observer) {
            Ok(reader) => Ok(Arc::new(reader)),
            Err(error) => Err(ReadError::NoToken(error.to_string())),
        }
    }
}

impl RequestObserver for VaultObserver {
    fn request(&self, operation: Operation, status: Option<u16>, _took: Duration) {
        self.count(operation.as_str(), status);
    }
}
