//! From configuration to open vaults: the broker asks for a reader by origin, cloud and identity.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use azure_core::http::{HttpClient, Transport};
use keyward_crds::azure_key_vault::Cloud;

use super::{
    cloud,
    credential::{Identity, IdentityConfig},
    observe::RequestObserver,
    origin::{InvalidOrigin, Origin},
    reader::{AzureVault, Opening},
    transport::{HttpClientError, MAX_OBJECT, Pinned, Roots, http_client},
};

/// How Azure is reached. Plain data; flags and defaults are the command line's.
#[derive(Clone, Debug)]
pub struct AzureConfig {
    /// Where identities sign in; `None` for the sign-in host of each vault's cloud.
    pub authority_host: Option<Origin>,
    /// Whose certificates are trusted, by vaults and authority alike.
    pub roots: Roots,
    /// The Key Vault API version to ask for, as `7.6` or `2025-07-01`.
    pub api_version: String,
    /// How long one read may take in all. Half of it goes at most to one sign-in, so that a read whose token does not
    /// come can say so.
    pub timeout: Duration,
}

impl Default for AzureConfig {
    fn default() -> Self {
        Self {
            authority_host: None,
            roots: Roots::System,
            api_version: "2025-07-01".to_owned(),
            timeout: Duration::from_secs(15),
        }
    }
}

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
    /// The cloud's sign-in host is no origin.
    #[error(transparent)]
    Authority(#[from] InvalidOrigin),
    /// The SDK refuses tenant, client or secret.
    #[error("the identity for {origin} cannot be used: {cause}")]
    Identity {
        /// The vault.
        origin: Origin,
        /// What the SDK says; it quotes tenant and client, never a secret.
        cause: Box<azure_core::Error>,
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

/// Opens vaults that share connections, and sign-ins where their identity is the same.
pub struct AzureVaults {
    config: AzureConfig,
    vaults: Arc<dyn HttpClient>,
    authorities: Arc<dyn HttpClient>,
    identities: Mutex<Vec<SignedIn>>,
    observer: Arc<dyn RequestObserver>,
}

struct SignedIn {
    config: IdentityConfig,
    authority: Origin,
    identity: Weak<Identity>,
}

impl AzureVaults {
    /// Reads the CA file; `observer` is told of sign-ins, which belong to no vault.
    pub fn new(config: AzureConfig, observer: Arc<dyn RequestObserver>) -> Result<Self, HttpClientError> {
        let vaults = Arc::new(http_client(&config.roots, config.timeout)?);
        let authorities = Arc::new(http_client(&config.roots, config.timeout / 2)?);
        Ok(Self { config, vaults, authorities, identities: Mutex::default(), observer })
    }

    /// Opens the vault at `origin`, which is in `cloud` (or stands in for one that is), to be read as `identity`.
    /// `observer` is told of every request to it. Nothing is sent before the first read.
    pub fn connect(
        &self,
        origin: &Origin,
        cloud: Cloud,
        identity: &IdentityConfig,
        observer: Arc<dyn RequestObserver>,
    ) -> Result<AzureVault, ConnectError> {
        if let Some(actual) = origin.cloud().filter(|actual| *actual != cloud) {
            return Err(ConnectError::Cloud { origin: origin.clone(), actual, declared: cloud });
        }
        let authority = match &self.config.authority_host {
            Some(authority) => authority.clone(),
            None => Origin::parse(cloud::authority_host(cloud))?,
        };
        let identity = self
            .identity(identity, &authority)
            .map_err(|cause| ConnectError::Identity { origin: origin.clone(), cause: Box::new(cause) })?;
        AzureVault::open(Opening {
            origin: origin.clone(),
            audience: cloud::audience(cloud),
            identity,
            transport: Pinned::new(self.vaults.clone(), origin.clone(), MAX_OBJECT, observer),
            api_version: self.config.api_version.clone(),
            timeout: self.config.timeout,
        })
        .map_err(|cause| ConnectError::Endpoint { origin: origin.clone(), cause: Box::new(cause) })
    }

    /// The one sign-in of that identity at that authority. Kept only while a vault uses it, so that identities which
    /// configuration has left behind do not pile up.
    fn identity(&self, config: &IdentityConfig, authority: &Origin) -> azure_core::Result<Arc<Identity>> {
        let mut known = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|signed_in| signed_in.identity.strong_count() > 0);
        let same = |signed_in: &&SignedIn| signed_in.config == *config && signed_in.authority == *authority;
        if let Some(identity) = known.iter().find(same).and_then(|signed_in| signed_in.identity.upgrade()) {
            return Ok(identity);
        }
        let transport = Pinned::new(self.authorities.clone(), authority.clone(), MAX_OBJECT, self.observer.clone());
        let identity = Arc::new(Identity::new(config, authority, &Transport::new(Arc::new(transport)))?);
        let (config, authority) = (config.clone(), authority.clone());
        known.push(SignedIn { config, authority, identity: Arc::downgrade(&identity) });
        Ok(identity)
    }
}
