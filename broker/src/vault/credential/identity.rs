//! One identity at one authority: an SDK credential that can be replaced.
//!
//! `azure_identity` keeps a token until shortly before it expires and has no way to let go of it. Where a vault refuses
//! a token that should still hold (revoked, keys rolled, clock), the credential itself is built anew.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use azure_core::{
    cloud::CustomConfiguration,
    credentials::{Secret, TokenCredential},
    error::ErrorKind,
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_identity::{
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
};

use super::{IdentityConfig, assertion::TokenFile};
use crate::vault::origin::Origin;

/// At most one renewal in this time: a vault that refuses every token must not turn each read into a sign-in.
pub(super) const RENEWAL_PAUSE: Duration = Duration::from_secs(30);

type Build = Box<dyn Fn() -> azure_core::Result<Arc<dyn TokenCredential>> + Send + Sync>;

/// A credential for all who act as one identity.
pub(crate) struct Identity {
    build: Build,
    pause: Duration,
    state: Mutex<State>,
}

struct State {
    credential: Arc<dyn TokenCredential>,
    generation: u64,
    renewed: Option<Instant>,
}

impl Identity {
    /// Signs in at `authority` by way of `transport`. Nothing is sent before a token is needed.
    pub(crate) fn new(config: &IdentityConfig, authority: &Origin, transport: &Transport) -> azure_core::Result<Self> {
        let (config, authority, transport) = (config.clone(), authority.clone(), transport.clone());
        Self::built_by(Box::new(move || sign_in(&config, &authority, &transport)), RENEWAL_PAUSE)
    }

    pub(super) fn built_by(build: Build, pause: Duration) -> azure_core::Result<Self> {
        let state = State { credential: build()?, generation: 0, renewed: None };
        Ok(Self { build, pause, state: Mutex::new(state) })
    }

    /// The credential to ask for a token, and its generation.
    pub(super) fn current(&self) -> (u64, Arc<dyn TokenCredential>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.generation, state.credential.clone())
    }

    /// Lets go of the tokens of generation `seen`, one of which a vault refused. Nothing happens where somebody else
    /// has done so, or did a moment ago.
    pub(super) fn renew(&self, seen: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = state.renewed.is_some_and(|renewed| renewed.elapsed() < self.pause);
        if state.generation != seen || recent {
            return;
        }
        // The same configuration was accepted before; were it refused now, the old credential still serves.
        if let Ok(credential) = (self.build)() {
            *state = State { credential, generation: seen + 1, renewed: Some(Instant::now()) };
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

fn sign_in(
    config: &IdentityConfig,
    authority: &Origin,
    transport: &Transport,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = authority.to_string();
    let client_options = ClientOptions {
        transport: Some(transport.clone()),
        retry: RetryOptions::none(),
        cloud: Some(Arc::new(cloud.into())),
        ..ClientOptions::default()
    };
    match config.clone() {
        IdentityConfig::WorkloadIdentity { tenant_id, client_id, token_file } => {
            let options = ClientAssertionCredentialOptions { client_options };
            Ok(ClientAssertionCredential::new(tenant_id, client_id, TokenFile(token_file), Some(options))?)
        }
        IdentityConfig::ClientSecret { tenant_id, client_id, secret } => {
            let text = secret.expose_str().ok_or_else(|| {
                azure_core::Error::with_message(ErrorKind::Credential, "the client secret is not UTF-8")
            })?;
            let options = ClientSecretCredentialOptions { client_options };
            Ok(ClientSecretCredential::new(&tenant_id, client_id, Secret::new(text.to_owned()), Some(options))?)
        }
    }
}
