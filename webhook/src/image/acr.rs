//! Azure Container Registry, with the webhook's own identity, which may pull (`AcrPull`) and nothing else: it is never
//! the identity that reads vaults.
//!
//! A token of Entra is exchanged for one of the registry. The first is good for every registry that the identity may
//! read, so it is sent to hosts below Azure's domains (and those that the administrator adds) only, by HTTPS.

use std::{fmt, sync::Arc};

use azure_core::credentials::TokenCredential;
use http::HeaderValue;

use super::{
    error::line,
    registry::Registry,
    settings::{ImagesError, authority},
    token::{TokenError, exchange, token_header},
};

const DOMAINS: [&str; 3] = ["azurecr.io", "azurecr.cn", "azurecr.us"];
const SCOPE: &str = "https://containerregistry.azure.net/.default";

/// Whom the webhook is towards Azure Container Registry.
#[derive(Clone)]
pub struct AcrIdentity {
    credential: Arc<dyn TokenCredential>,
    scope: String,
}

impl AcrIdentity {
    /// An identity that may pull.
    pub fn new(credential: Arc<dyn TokenCredential>) -> Self {
        Self { credential, scope: SCOPE.to_owned() }
    }

    /// Tokens for another resource than `https://containerregistry.azure.net/.default`: clouds that have their own.
    #[must_use]
    pub fn with_scope(self, scope: String) -> Self {
        Self { scope, ..self }
    }
}

impl fmt::Debug for AcrIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcrIdentity").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// The identity, and the registries it is for.
#[derive(Clone)]
pub(super) struct Acr {
    identity: AcrIdentity,
    domains: Vec<String>,
}

/// Why the identity does not help.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum AcrError {
    #[error("Entra gave it no token (the webhook's log says why)")]
    SignIn,
    #[error("exchanging its token: {0}")]
    Exchange(TokenError),
}

impl Acr {
    pub(super) fn new(identity: AcrIdentity, suffixes: &[String]) -> Result<Self, ImagesError> {
        let configured = suffixes.iter().map(|suffix| authority(suffix)).collect::<Result<Vec<_>, _>>()?;
        let domains = DOMAINS.iter().map(ToString::to_string).chain(configured).collect();
        Ok(Self { identity, domains })
    }

    /// Whether a registry is one that may see the identity's token.
    pub(super) fn serves(&self, registry: &Registry<'_>) -> bool {
        !registry.is_plain() && self.domains.iter().any(|domain| within(registry.name(), domain))
    }

    /// The right to pull from the registry's repository.
    pub(super) async fn bearer(&self, registry: &Registry<'_>) -> Result<HeaderValue, AcrError> {
        let AcrIdentity { credential, scope } = &self.identity;
        let entra = credential.get_token(&[scope.as_str()], None).await.map_err(|error| {
            let error = line(&error.to_string(), 400);
            tracing::warn!(registry = registry.name(), error, "the webhook's identity got no token for ACR");
            AcrError::SignIn
        })?;
        let service = ("service", registry.name());
        let form = [("grant_type", "access_token"), service, ("access_token", entra.token.secret())];
        let refresh = exchange(registry, "/oauth2/exchange", &form).await.map_err(AcrError::Exchange)?;
        let scope = registry.scope();
        let form = [("grant_type", "refresh_token"), service, ("scope", &scope), ("refresh_token", &refresh)];
        let access = exchange(registry, "/oauth2/token", &form).await.map_err(AcrError::Exchange)?;
        token_header(access.to_string()).map_err(AcrError::Exchange)
    }
}

/// The domain itself, or below it.
fn within(registry: &str, domain: &str) -> bool {
    registry.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_below_the_domains_see_the_token() {
        for (registry, expected) in [
            ("team.azurecr.io", true),
            ("team.westeurope.data.azurecr.io", true),
            ("team.azurecr.io:443", false),
            ("team.azurecr.io:8443", false),
            ("evilazurecr.io", false),
            ("azurecr.io.evil.example", false),
            ("team.azurecr.io.evil.example", false),
            ("evil.example", false),
        ] {
            assert_eq!(within(registry, "azurecr.io"), expected, "{registry}");
        }
        assert!(within("localhost:5000", "localhost:5000") && !within("localhost:5001", "localhost:5000"));
    }
}
