//! `keyward-vault`: a Key Vault and Entra emulator over TLS that the official SDKs accept unchanged. A library, which
//! tests start in their own process, and a program, for the quickstart and for people (`src/bin/keyward-vault.rs`).
//!
//! One emulator serves
//! - **many vaults**, each on a port of its own, so that `https://localhost:PORT` is a vault without any DNS; every
//!   vault is also reached on any vault port by the host names `NAME.vault.test` and `NAME.vault.azure.net`;
//! - **the identity port**: Entra's token endpoint (client secret, workload identity) and a cluster's token issuer
//!   (discovery, key set, `POST /projected-token`);
//! - **the HTTP port**: IMDS, App Service managed identity, and the [control API](control).
//!
//! Its state lives in memory, its keys too; its certificates come from an authority of its own. What it holds is not
//! protected: it is for development and tests.
//!
//! The objects file:
//! ```yaml
//! vaults:
//!   acme:
//!     secrets:
//!       db-password: {value: not-a-real-one, contentType: text/plain, tags: {team: shop}}
//!       rotated: {versions: [{value: older}, {value: old}], value: current, exp: 1999999999}
//!       switched-off: {value: x, enabled: false}
//!     certificates:
//!       shop-tls: {subject: CN=shop.example, dnsNames: [shop.example], chain: true}
//!       locked: {keyType: rsa-2048, exportable: false, contentType: application/x-pem-file}
//!       brought: {pfxFile: brought.pfx, password: not-a-real-one}
//!     keys:
//!       signing: {kty: RSA, keySize: 2048}
//!       other: {kty: EC, crv: P-384}
//! identities:
//!   - tenant: 11111111-1111-1111-1111-111111111111
//!     clientId: 22222222-2222-2222-2222-222222222222
//!     clientSecret: not-a-real-one
//!     federatedSubjects: ["system:serviceaccount:keyward:keyward-broker"]
//!     managed: system
//!     access: [{vault: acme, operations: [Secret*, CertificateGet]}]
//! ```

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

mod attributes;
mod auth;
mod calls;
mod certificates;
mod clock;
pub mod config;
pub mod control;
mod data_plane;
mod dates;
mod endpoints;
mod entra;
mod errors;
mod faults;
mod forge;
mod identities;
mod identity_port;
mod imds;
mod issuer;
mod jwk;
mod jwt;
mod keymaker;
mod keys;
mod limit;
mod line;
mod links;
mod listeners;
mod lock;
mod material;
mod names;
mod objects;
mod own_certificate;
mod pages;
mod policy;
mod route;
mod secrets;
pub(crate) mod server;
mod shelf;
mod shelves;
mod start;
mod store;
mod world;
mod x509;

pub use calls::{CLIENT_GONE, CallCount, CallRecord, CallReport};
pub use clock::Clock;
pub use endpoints::Endpoints;
pub use faults::{
    ArmError, BodyFault, Fault, Faults, Gate, GateState, PageFault, RetryAfter, Revocation, Rule, RuleId, RuleState,
};
pub use forge::TokenForge;
pub use identities::Identities;
pub use issuer::{DEFAULT_AUDIENCE, ProjectedToken};
pub use jwt::SignError;
pub use names::Collection;
pub use server::TlsError;
pub use start::{Builder, EmulatorError};
pub use store::{Store, StoreError};

use world::World;

/// A running emulator. Dropping it stops it; [`Emulator::shutdown`] also waits.
pub struct Emulator {
    world: Arc<World>,
    endpoints: Endpoints,
    stop: DropGuard,
    servers: JoinSet<()>,
}

impl Emulator {
    /// An emulator that is yet to be set up.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn new(world: Arc<World>, endpoints: Endpoints, stop: CancellationToken, servers: JoinSet<()>) -> Self {
        Self { world, endpoints, stop: stop.drop_guard(), servers }
    }

    /// All URLs.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The vaults' names, sorted.
    pub fn vault_names(&self) -> Vec<String> {
        self.world.vaults.keys().cloned().collect()
    }

    /// `https://localhost:PORT` of a vault. For a vault that is not there, a URL at which nothing is.
    pub fn vault_url(&self, name: &str) -> String {
        let nowhere = || format!("https://{name}.no-such-vault.invalid");
        self.endpoints.vaults.get(name).cloned().unwrap_or_else(nowhere)
    }

    /// Entra: what `AZURE_AUTHORITY_HOST` is to hold.
    pub fn authority(&self) -> String {
        self.endpoints.authority.clone()
    }

    /// The cluster's token issuer.
    pub fn issuer(&self) -> String {
        self.world.issuer.url().to_owned()
    }

    /// The issuer's keys.
    pub fn jwks_url(&self) -> String {
        self.world.issuer.jwks_url()
    }

    /// Control API, IMDS and App Service.
    pub fn http_url(&self) -> String {
        self.endpoints.http.clone()
    }

    /// The authority that clients are to trust.
    pub fn ca_pem(&self) -> String {
        self.world.ca_pem.clone()
    }

    /// What was asked so far.
    pub fn calls(&self) -> CallReport {
        self.world.calls.report()
    }

    /// Forgets what was asked so far.
    pub fn reset_calls(&self) {
        self.world.calls.reset();
    }

    /// Trouble on demand.
    pub fn faults(&self) -> &Faults {
        &self.world.faults
    }

    /// The clock that stamps objects.
    pub fn clock(&self) -> &Clock {
        &self.world.clock
    }

    /// Who may do what.
    pub fn identities(&self) -> &Identities {
        &self.world.identities
    }

    /// A vault's objects.
    pub fn store(&self, vault: &str) -> Option<Store> {
        let vault = self.world.vaults.get(vault)?;
        Some(Store::new(self.world.clone(), vault.clone()))
    }

    /// An honest token of the cluster.
    pub fn projected_token(&self, token: &ProjectedToken) -> Result<String, SignError> {
        self.world.issuer.issue(token)
    }

    /// A token of Entra with any claims, as an application shows it to others than vaults.
    pub fn entra_token(&self, claims: &serde_json::Value) -> Result<String, SignError> {
        self.world.access_tokens.sign(claims)
    }

    /// Tokens that must be refused.
    pub fn forge(&self) -> TokenForge {
        self.world.issuer.forge()
    }

    /// Stops serving; calls under way may finish, held ones are let go.
    pub async fn shutdown(mut self) {
        drop(self.stop.disarm().drop_guard());
        self.world.faults.clear();
        while self.servers.join_next().await.is_some() {}
    }
}
