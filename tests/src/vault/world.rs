//! Everything the servers share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::auth::AccessTokens;
use super::calls::Calls;
use super::clock::Clock;
use super::faults::Faults;
use super::identities::Identities;
use super::issuer::Issuer;
use super::limit::Limit;
use super::shelves::Shelves;
use super::x509::ChainAuthority;

/// The emulator's state.
pub(super) struct World {
    pub(super) vaults: BTreeMap<String, Arc<Vault>>,
    pub(super) identities: Identities,
    pub(super) access_tokens: AccessTokens,
    pub(super) issuer: Issuer,
    pub(super) chain_authority: ChainAuthority,
    pub(super) faults: Faults,
    pub(super) calls: Calls,
    pub(super) clock: Clock,
    /// When it started; the call log counts from there.
    pub(super) began: Instant,
    /// The most items on a page.
    pub(super) page_size: usize,
    /// What App Service demands in `X-IDENTITY-HEADER`.
    pub(super) identity_header: String,
    /// The emulator's own authority, PEM.
    pub(super) ca_pem: String,
}

/// One vault.
pub(super) struct Vault {
    pub(super) name: String,
    pub(super) tenant: String,
    pub(super) resource: String,
    /// `innererror.code` of the 403 that everybody gets.
    pub(super) refuse: Option<String>,
    pub(super) limit: Option<Limit>,
    pub(super) shelves: Mutex<Shelves>,
}
