//! From flags to the parts that need files or other people's servers: identity, trust, the tokens' issuer.

mod azure_json;
mod identity;

use std::sync::Arc;

use self::identity::Secrets;
use crate::{
    args::{Authn, ServeArgs},
    authn::{
        Authenticator,
        jwks::{KeyRefresher, Pace, jwks},
        source::{KeySource, Place, SourceError},
        verdicts::Verdicts,
    },
    opener::AzureOpener,
    policy::{DefaultAccess, Defaults},
    vault::{
        azure::{AzureConfig, AzureVaults},
        observe::{Operation, RequestObserver},
        origin::{InvalidOrigin, Origin},
        transport::{HttpClientError, Roots},
    },
};

pub use self::{azure_json::AzureJsonError, identity::IdentityError};

/// Why a part cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The broker's own identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A custom cloud's suffix.
    #[error("KEYWARD_AZURE_VAULT_DNS_SUFFIX: `{0}` is no DNS suffix; write it as vault.example.com")]
    Suffix(String),
    /// Entra's address.
    #[error("AZURE_AUTHORITY_HOST: {0}")]
    Authority(#[from] InvalidOrigin),
    /// The client for Azure.
    #[error("KEYWARD_AZURE_CA_FILE: {0}")]
    Azure(#[from] HttpClientError),
    /// Where the issuer's keys are.
    #[error("KEYWARD_JWKS: {0}")]
    Keys(SourceError),
    /// Nothing to make the process's own key from.
    #[error("the system gives no random bytes")]
    Randomness,
    /// The tokens' issuer, or the CA it may use.
    #[error("KEYWARD_JWKS_ISSUER or KEYWARD_JWKS_CA_FILE: {0}")]
    Issuer(SourceError),
}

/// What the snapshot depends on.
pub fn defaults(args: &ServeArgs) -> Result<Defaults, SetupError> {
    if args.access_default == DefaultAccess::Allow {
        tracing::warn!("--access-default allow: every namespace may read every vault that no AzureKeyVault declares");
    }
    Ok(Defaults {
        access: args.access_default,
        cloud: identity::cloud(&args.azure, &Secrets::from_environment())?,
        custom_suffix: args.azure.azure_vault_dns_suffix.as_deref().map(suffix).transpose()?,
        poll_interval: args.poll_interval,
        max_stale: args.max_stale,
        budget: args.vault_budget,
    })
}

/// Vaults' names are put before it: only what stays a host then will do.
fn suffix(text: &str) -> Result<Arc<str>, SetupError> {
    let canonical = Origin::parse(&format!("https://a.{text}"))
        .is_ok_and(|origin| origin.to_string() == format!("https://a.{text}"));
    if canonical && !text.contains(':') {
        Ok(text.into())
    } else {
        Err(SetupError::Suffix(text.escape_debug().to_string()))
    }
}

/// What opens vaults.
pub fn opener(args: &ServeArgs) -> Result<AzureOpener, SetupError> {
    let azure = &args.azure;
    let identities = identity::identities(azure, &Secrets::from_environment())?;
    let authority_host = azure.azure_authority_host.as_ref().map(|url| Origin::parse(url.as_str())).transpose()?;
    let roots = azure.azure_ca_file.clone().map_or(Roots::System, Roots::SystemAnd);
    let custom_audience = azure.azure_vault_audience.clone();
    let config = AzureConfig { authority_host, custom_audience, roots, ..AzureConfig::default() };
    Ok(AzureOpener { vaults: Arc::new(AzureVaults::new(config, Arc::new(SignIns))?), identities })
}

/// Sign-ins belong to no vault; they are logged, and counted by nothing yet.
struct SignIns;

impl RequestObserver for SignIns {
    fn request(&self, operation: Operation, status: Option<u16>, took: std::time::Duration) {
        tracing::debug!(operation = operation.as_str(), status, ?took, "sign-in");
    }
}

/// What verifies launchers' tokens, and the task that keeps the issuer's keys.
pub fn authenticator(args: &ServeArgs) -> Result<(Arc<dyn Authenticator>, KeyRefresher), SetupError> {
    match args.authn {
        Authn::Jwks => {
            let place = Place::parse(args.jwks.as_deref()).map_err(SetupError::Keys)?;
            let source =
                KeySource::new(&args.jwks_issuer, place, args.jwks_ca_file.clone()).map_err(SetupError::Issuer)?;
            let (authenticator, refresher) = jwks(&args.jwks_issuer, source, Pace::default());
            let verdicts = Verdicts::new(Arc::new(authenticator)).map_err(|_| SetupError::Randomness)?;
            Ok((Arc::new(verdicts), refresher))
        }
    }
}
