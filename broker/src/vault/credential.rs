//! Signing in: as whom, and for which audience only. The reader's lanes call it through the SDK.
//!
//! | room | holds |
//! |---|---|
//! | `config` | who signs in and how it is proven: plain data |
//! | `identity` | one identity's token, and who waits for the next |
//! | `scoped` | what one SDK client asks: `identity`'s token for one audience and nothing else |
//! | `entra` | an application's sign-in, by federated token, secret or certificate |
//! | [`managed`] | a machine's own identity, from IMDS or App Service |
//! | `assertion`, `certificate`, `file`, `store` | what proves an application, read anew at each sign-in |

mod assertion;
mod certificate;
mod config;
mod entra;
mod error;
mod file;
mod identity;
pub mod managed;
mod scoped;
mod store;
#[cfg(test)]
pub(super) mod testing;

use std::sync::Arc;

use azure_core::{credentials::TokenCredential, http::Transport};

use self::{
    entra::{Entra, Proof},
    managed::Managed,
};
use super::{observe::RequestObserver, origin::Origin};

pub use self::{
    certificate::CertificateError,
    config::{
        Application, CertificateSource, IdentityConfig, InvalidIdentity, ManagedEndpoint, ManagedId, SecretSource,
    },
    error::SignInError,
    identity::{IdentityStatus, Named, Renewal},
    store::{Files, Store, StoreError, Stored},
};
pub(crate) use self::{
    identity::Identity,
    scoped::{ForeignScope, ScopedCredential},
};

/// The ways that sign-ins take.
pub(crate) struct Ways {
    /// To the authority, pinned.
    pub(crate) authority: Transport,
    /// To the machine's own endpoint.
    pub(crate) local: reqwest::Client,
    /// Told of what takes the second way; the first tells by itself.
    pub(crate) observer: Arc<dyn RequestObserver>,
}

/// The identity that `config` describes, for tokens for `audience`. Nothing is sent before one is needed.
pub(crate) fn open(
    config: &IdentityConfig,
    authority: &Origin,
    audience: &str,
    ways: Ways,
) -> Result<Identity, InvalidIdentity> {
    config.check()?;
    let (tenant_id, client_id) = match (config.application(), config) {
        (Some(Application { tenant_id, client_id }), _) => (Some(tenant_id.clone()), Some(client_id.clone())),
        (None, IdentityConfig::ManagedIdentity { id, .. }) => (None, id.as_str().map(ToOwned::to_owned)),
        (None, _) => (None, None),
    };
    let named = Named { kind: config.kind(), tenant_id, client_id, audience: audience.to_owned() };
    Ok(Identity::new(named, audience, source(config.clone(), authority.clone(), ways)))
}

fn source(config: IdentityConfig, authority: Origin, ways: Ways) -> Arc<dyn TokenCredential> {
    let (application, proof) = match config {
        IdentityConfig::ManagedIdentity { id, endpoint } => {
            return Arc::new(Managed { id, endpoint, client: ways.local, observer: ways.observer });
        }
        IdentityConfig::WorkloadIdentity { application, token_file } => (application, Proof::TokenFile(token_file)),
        IdentityConfig::ClientSecret { application, secret } => (application, Proof::Secret(secret)),
        IdentityConfig::ClientCertificate { application, certificate, send_chain } => {
            (application, Proof::Certificate { source: certificate, send_chain })
        }
    };
    Arc::new(Entra { application, authority, transport: ways.authority, proof })
}
