//! From flags to the parts that need files or other people's servers: identity, trust, the tokens' issuer.

use std::{fs, io, path::PathBuf, sync::Arc};

use keyward_crds::azure_key_vault::Cloud;
use keyward_types::SecretBytes;

use crate::{
    args::{Authn, AzureArgs, CloudArg, ServeArgs},
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
        credential::IdentityConfig,
        observe::{Operation, RequestObserver},
        origin::{InvalidOrigin, Origin},
        transport::{HttpClientError, Roots},
    },
};

/// Why a part cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No credential was given.
    #[error(
        "no Azure credential: set AZURE_FEDERATED_TOKEN_FILE (workload identity), AZURE_CLIENT_SECRET_FILE or \
         AZURE_CLIENT_SECRET"
    )]
    NoCredential,
    /// More than one was.
    #[error("AZURE_FEDERATED_TOKEN_FILE and a client secret are both set; keep one")]
    TwoCredentials,
    /// The secret's file.
    #[error("AZURE_CLIENT_SECRET_FILE {path}: {source}", path = path.display())]
    ClientSecret {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
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
pub fn defaults(args: &ServeArgs) -> Defaults {
    if args.access_default == DefaultAccess::Allow {
        tracing::warn!("--access-default allow: every namespace may read every vault that no AzureKeyVault declares");
    }
    Defaults {
        access: args.access_default,
        cloud: cloud(args.azure.cloud),
        poll_interval: args.poll_interval,
        max_stale: args.max_stale,
        budget: args.vault_budget,
    }
}

/// What opens vaults.
pub fn opener(args: &ServeArgs) -> Result<AzureOpener, SetupError> {
    let azure = &args.azure;
    let authority_host = azure.azure_authority_host.as_ref().map(|url| Origin::parse(url.as_str())).transpose()?;
    let roots = azure.azure_ca_file.clone().map_or(Roots::System, Roots::SystemAnd);
    let config = AzureConfig { authority_host, roots, ..AzureConfig::default() };
    Ok(AzureOpener { vaults: AzureVaults::new(config, Arc::new(SignIns))?, identity: identity(azure)? })
}

fn identity(azure: &AzureArgs) -> Result<IdentityConfig, SetupError> {
    let (tenant_id, client_id) = (azure.azure_tenant_id.clone(), azure.azure_client_id.clone());
    match (azure.azure_federated_token_file.clone(), client_secret(azure)?) {
        (Some(token_file), None) => Ok(IdentityConfig::WorkloadIdentity { tenant_id, client_id, token_file }),
        (None, Some(secret)) => Ok(IdentityConfig::ClientSecret { tenant_id, client_id, secret }),
        (Some(_), Some(_)) => Err(SetupError::TwoCredentials),
        (None, None) => Err(SetupError::NoCredential),
    }
}

fn client_secret(azure: &AzureArgs) -> Result<Option<SecretBytes>, SetupError> {
    let Some(path) = &azure.azure_client_secret_file else {
        // Not a flag: a value on the command line is readable by every process of the machine.
        return Ok(std::env::var("AZURE_CLIENT_SECRET").ok().map(SecretBytes::from));
    };
    let text = fs::read_to_string(path).map_err(|source| SetupError::ClientSecret { path: path.clone(), source })?;
    Ok(Some(SecretBytes::from(text.trim_end_matches(['\r', '\n']))))
}

/// Sign-ins belong to no vault; they are logged, and counted by nothing yet.
struct SignIns;

impl RequestObserver for SignIns {
    fn request(&self, operation: Operation, status: Option<u16>, took: std::time::Duration) {
        tracing::debug!(operation = operation.as_str(), status, ?took, "sign-in");
    }
}

fn cloud(cloud: CloudArg) -> Cloud {
    match cloud {
        CloudArg::AzurePublic => Cloud::AzurePublic,
        CloudArg::AzureUsGovernment => Cloud::AzureUSGovernment,
        CloudArg::AzureChina => Cloud::AzureChina,
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
