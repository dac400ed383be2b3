//! The identities in use: one sign-in for all vaults that are read as the same.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::vault::{
    credential::{self, Identity, IdentityConfig, IdentityStatus, InvalidIdentity, Ways},
    origin::Origin,
};

/// Kept only while a vault uses them, so that identities which configuration has left behind do not pile up.
#[derive(Default)]
pub(super) struct Identities(Mutex<Vec<Known>>);

struct Known {
    config: IdentityConfig,
    authority: Origin,
    audience: String,
    identity: Weak<Identity>,
}

impl Identities {
    /// The one that `config` describes, at that authority and for that audience.
    pub(super) fn shared(
        &self,
        config: &IdentityConfig,
        authority: &Origin,
        audience: &str,
        ways: impl FnOnce() -> Ways,
    ) -> Result<Arc<Identity>, InvalidIdentity> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.identity.strong_count() > 0);
        let same =
            |known: &&Known| known.config == *config && known.authority == *authority && known.audience == audience;
        if let Some(identity) = known.iter().find(same).and_then(|known| known.identity.upgrade()) {
            return Ok(identity);
        }
        let identity = Arc::new(credential::open(config, authority, audience, ways())?);
        let (config, authority, audience) = (config.clone(), authority.clone(), audience.to_owned());
        known.push(Known { config, authority, audience, identity: Arc::downgrade(&identity) });
        Ok(identity)
    }

    /// How each is doing.
    pub(super) fn statuses(&self) -> Vec<IdentityStatus> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter_map(|known| known.identity.upgrade()).map(|identity| identity.status()).collect()
    }
}
