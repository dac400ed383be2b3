//! From configuration to open vaults: the broker asks for a reader by origin, cloud and identity.

mod error;
mod identities;

use std::{sync::Arc, time::Duration};

use azure_core::http::{HttpClient, Transport};
use keyward_crds::azure_key_vault::Cloud;

use self::identities::Identities;
use super::{
    cloud,
    credential::{IdentityConfig, IdentityStatus, Ways},
    observe::RequestObserver,
    origin::Origin,
    reader::{AzureVault, Opening},
    transport::{HttpClientError, MAX_OBJECT, Pinned, Roots, http_client, local_client},
};

pub use self::error::ConnectError;

/// How Azure is reached. Plain data; flags and defaults are the command line's.
#[derive(Clone, Debug)]
pub struct AzureConfig {
    /// Where identities sign in; `None` for the sign-in host of each vault's cloud.
    pub authority_host: Option<Origin>,
    /// The resource that tokens for a custom cloud's vaults are issued for.
    pub custom_audience: Option<String>,
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
            custom_audience: None,
            roots: Roots::System,
            api_version: "2025-07-01".to_owned(),
            timeout: Duration::from_secs(15),
        }
    }
}

/// Opens vaults that share connections, and sign-ins where their identity is the same.
pub struct AzureVaults {
    config: AzureConfig,
    vaults: Arc<dyn HttpClient>,
    authorities: Arc<dyn HttpClient>,
    local: reqwest::Client,
    identities: Identities,
    observer: Arc<dyn RequestObserver>,
}

impl AzureVaults {
    /// Reads the CA file; `observer` is told of sign-ins, which belong to no vault.
    pub fn new(config: AzureConfig, observer: Arc<dyn RequestObserver>) -> Result<Self, HttpClientError> {
        let vaults = Arc::new(http_client(&config.roots, config.timeout)?);
        let authorities = Arc::new(http_client(&config.roots, config.timeout / 2)?);
        let local = local_client(&config.roots, config.timeout / 2)?;
        Ok(Self { config, vaults, authorities, local, identities: Identities::default(), observer })
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
        let undescribed = || ConnectError::Custom { origin: origin.clone() };
        let authority = match &self.config.authority_host {
            Some(authority) => authority.clone(),
            None => Origin::parse(cloud::authority_host(cloud).ok_or_else(undescribed)?)?,
        };
        let audience = cloud::audience(cloud).or(self.config.custom_audience.as_deref()).ok_or_else(undescribed)?;
        let identity = self
            .identities
            .shared(identity, &authority, audience, || self.ways(&authority))
            .map_err(|cause| ConnectError::Identity { origin: origin.clone(), cause })?;
        AzureVault::open(Opening {
            origin: origin.clone(),
            identity,
            transport: Pinned::new(self.vaults.clone(), origin.clone(), MAX_OBJECT, observer),
            api_version: self.config.api_version.clone(),
            timeout: self.config.timeout,
        })
        .map_err(|cause| ConnectError::Endpoint { origin: origin.clone(), cause: Box::new(cause) })
    }

    /// Every identity that an open vault is read as, for metrics.
    pub fn identities(&self) -> Vec<IdentityStatus> {
        self.identities.statuses()
    }

    fn ways(&self, authority: &Origin) -> Ways {
        let pinned = Pinned::new(self.authorities.clone(), authority.clone(), MAX_OBJECT, self.observer.clone());
        Ways { authority: Transport::new(Arc::new(pinned)), local: self.local.clone(), observer: self.observer.clone() }
    }
}
