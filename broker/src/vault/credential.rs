//! Signing in to Entra: as whom, and for which audience only. The reader's lanes call it through the SDK.
//!
//! One `Identity` is shared by all clients of all vaults that it reads; each SDK client holds a `ScopedCredential`
//! of its own on it.

mod assertion;
mod identity;
mod scoped;

use std::path::PathBuf;

use keyward_types::SecretBytes;

pub use assertion::AssertionError;
pub(crate) use identity::Identity;
pub(crate) use scoped::{ForeignScope, ScopedCredential};

/// Who signs in, and how it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityConfig {
    /// A federated token from a file, as the Azure workload identity webhook projects it.
    WorkloadIdentity {
        /// The Entra tenant.
        tenant_id: String,
        /// The application (client) id.
        client_id: String,
        /// The projected token; read anew at each sign-in, because the kubelet rotates it.
        token_file: PathBuf,
    },
    /// An application's secret. The SDK keeps a copy for the life of the process.
    ClientSecret {
        /// The Entra tenant.
        tenant_id: String,
        /// The application (client) id.
        client_id: String,
        /// Its secret.
        secret: SecretBytes,
    },
}

impl IdentityConfig {
    /// The same proof for another tenant or application, as an `AzureKeyVault` may ask for.
    #[must_use]
    pub fn for_vault(mut self, tenant: Option<&str>, client: Option<&str>) -> Self {
        let (Self::WorkloadIdentity { tenant_id, client_id, .. } | Self::ClientSecret { tenant_id, client_id, .. }) =
            &mut self;
        if let Some(tenant) = tenant {
            tenant.clone_into(tenant_id);
        }
        if let Some(client) = client {
            client.clone_into(client_id);
        }
        self
    }
}
