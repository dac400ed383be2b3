//! From flags to the parts that need files or other people's servers: identity, trust, the tokens' issuer.

mod authentication;
mod azure_json;
mod binding;
mod identity;

use std::sync::Arc;

use self::identity::Secrets;
use crate::{
    args::{Authn, PeersArg, ServeArgs, Source},
    authn::source::SourceError,
    cluster::{
        client::{Cluster, ClusterError},
        secrets::OwnSecrets,
    },
    opener::{AzureOpener, Credentials},
    policy::{DefaultAccess, Defaults},
    vault::{
        azure::{AzureConfig, AzureVaults},
        observe::{Operation, RequestObserver},
        origin::{InvalidOrigin, Origin},
        transport::{HttpClientError, Roots},
    },
};

pub use self::{
    authentication::{Authentication, authentication},
    azure_json::AzureJsonError,
    binding::{BoundPods, bound_pods},
    identity::IdentityError,
};

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
    /// The API server.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Something asks the API server, and there is none.
    #[error("--authn token-review needs an API server")]
    NoCluster,
    /// No issuer.
    #[error("KEYWARD_JWKS_ISSUER is not set, and --authn jwks needs it")]
    NoIssuer,
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

/// What opens vaults. Credentials that `AzureKeyVault`s name are in the directory that was given, or else where the
/// `AzureKeyVault`s themselves are.
pub fn opener(args: &ServeArgs, cluster: Option<&Cluster>) -> Result<AzureOpener, SetupError> {
    let azure = &args.azure;
    let mut identities = identity::identities(azure, &Secrets::from_environment())?;
    if let (None, Source::Kubernetes, Some(cluster)) = (&identities.credentials, &args.source, cluster) {
        identities.credentials = Some(Credentials::Store(Arc::new(OwnSecrets::new(cluster.clone()))));
    }
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

/// The API server, where anything asks it.
pub async fn cluster(args: &ServeArgs) -> Result<Option<Cluster>, SetupError> {
    let peers = matches!(args.peers, Some(PeersArg::Service(_)));
    let asked = args.authn() == Authn::TokenReview || args.binds_pods() || peers;
    if args.source == Source::Kubernetes || asked {
        Ok(Some(Cluster::infer(args.namespace.as_deref()).await?))
    } else {
        Ok(None)
    }
}
