//! The broker's own identity, composed of flags and variables: one kind, chosen or found, never guessed.

use std::{fs, io, path::PathBuf};

use keyward_crds::azure_key_vault::Cloud;
use keyward_types::SecretBytes;

use super::azure_json::{AzureJson, AzureJsonError, Beside};
use crate::{
    args::{AzureArgs, CloudArg, IdentityKind},
    opener::{Credentials, Identities},
    vault::credential::{
        Application, CertificateSource, IdentityConfig, InvalidIdentity, ManagedEndpoint, ManagedId, SecretSource,
        managed::{self, InvalidEndpoint},
    },
};

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No credential was given.
    #[error(
        "no Azure credential: set AZURE_FEDERATED_TOKEN_FILE (workload identity), AZURE_CLIENT_CERTIFICATE_PATH, \
         AZURE_CLIENT_SECRET_FILE, AZURE_CLIENT_SECRET or KEYWARD_AZURE_CONFIG_FILE (azure.json), or \
         KEYWARD_AZURE_IDENTITY=managed"
    )]
    None,
    /// More than one was.
    #[error("{0} and {1} are both set; keep one, or choose by KEYWARD_AZURE_IDENTITY")]
    Two(&'static str, &'static str),
    /// The kind needs more.
    #[error("{0} is not set, and the Azure identity needs it")]
    Missing(&'static str),
    /// A file.
    #[error("{variable} {path}: {source}", path = path.display())]
    File {
        /// Which variable names it.
        variable: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cloud provider's file.
    #[error("KEYWARD_AZURE_CONFIG_FILE {path}: {source}", path = path.display())]
    AzureJson {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: AzureJsonError,
    },
    /// Where managed identities' tokens come from.
    #[error("{variable}: {source}")]
    Endpoint {
        /// Which variable names it.
        variable: &'static str,
        /// Why not.
        source: InvalidEndpoint,
    },
    /// An id that cannot be one.
    #[error("the broker's Azure identity (AZURE_TENANT_ID, AZURE_CLIENT_ID, azure.json): {0}")]
    Id(#[from] InvalidIdentity),
    /// Two words on the cloud.
    #[error("KEYWARD_CLOUD is {flag:?}, but azure.json says {file:?}; correct one")]
    Clouds {
        /// By the flag.
        flag: Cloud,
        /// By the file.
        file: Cloud,
    },
}

/// What comes by the environment alone: secrets.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    pub(super) client_secret: Option<SecretBytes>,
    pub(super) certificate_password: Option<SecretBytes>,
    pub(super) identity_header: Option<SecretBytes>,
}

impl Secrets {
    pub(super) fn from_environment() -> Self {
        let secret = |name| std::env::var(name).ok().filter(|text| !text.is_empty()).map(SecretBytes::from);
        Self {
            client_secret: secret("AZURE_CLIENT_SECRET"),
            certificate_password: secret("AZURE_CLIENT_CERTIFICATE_PASSWORD"),
            identity_header: secret("IDENTITY_HEADER"),
        }
    }
}

/// Everything that identities are made of, the broker's own among them.
pub(super) fn identities(azure: &AzureArgs, secrets: &Secrets) -> Result<Identities, IdentityError> {
    let endpoint = endpoint(azure, secrets)?;
    let own = own(azure, secrets, &endpoint)?;
    own.check()?;
    let application = own.application().cloned();
    let (tenant_id, client_id) = application.map_or((None, None), |own| (Some(own.tenant_id), Some(own.client_id)));
    let token_file = match &own {
        IdentityConfig::WorkloadIdentity { token_file, .. } => Some(token_file.clone()),
        _ => azure.azure_federated_token_file.clone(),
    };
    Ok(Identities {
        own,
        tenant_id: tenant_id.or_else(|| azure.azure_tenant_id.clone()),
        client_id: client_id.or_else(|| azure.azure_client_id.clone()),
        token_file,
        endpoint,
        credentials: azure.azure_credentials_dir.clone().map(Credentials::Directory),
        send_chain: azure.azure_client_send_certificate_chain,
    })
}

/// The cloud of vaults whose declaration does not say.
pub(super) fn cloud(azure: &AzureArgs, secrets: &Secrets) -> Result<Cloud, IdentityError> {
    let flag = azure.cloud.map(|cloud| match cloud {
        CloudArg::AzurePublic => Cloud::AzurePublic,
        CloudArg::AzureUsGovernment => Cloud::AzureUSGovernment,
        CloudArg::AzureChina => Cloud::AzureChina,
        CloudArg::AzureCustom => Cloud::AzureCustom,
    });
    let file = match kind(azure, secrets)? {
        IdentityKind::AzureJson => {
            let (path, json) = azure_json(azure)?;
            json.cloud().map_err(|source| IdentityError::AzureJson { path, source })?
        }
        _ => None,
    };
    let cloud = match (flag, file) {
        (Some(flag), Some(file)) if flag != file => return Err(IdentityError::Clouds { flag, file }),
        (flag, file) => flag.or(file).unwrap_or(Cloud::AzurePublic),
    };
    if cloud == Cloud::AzureCustom {
        described(azure)?;
    }
    Ok(cloud)
}

/// Of a custom cloud nothing is known but what is set.
fn described(azure: &AzureArgs) -> Result<(), IdentityError> {
    for (set, variable) in [
        (azure.azure_authority_host.is_some(), "AZURE_AUTHORITY_HOST (of the custom cloud)"),
        (azure.azure_vault_dns_suffix.is_some(), "KEYWARD_AZURE_VAULT_DNS_SUFFIX (of the custom cloud)"),
        (azure.azure_vault_audience.is_some(), "KEYWARD_AZURE_VAULT_AUDIENCE (of the custom cloud)"),
    ] {
        if !set {
            return Err(IdentityError::Missing(variable));
        }
    }
    Ok(())
}

/// The kind that was chosen, or the only one whose variable is set.
fn kind(azure: &AzureArgs, secrets: &Secrets) -> Result<IdentityKind, IdentityError> {
    if let Some(chosen) = azure.azure_identity {
        return Ok(chosen);
    }
    let set = [
        (azure.azure_federated_token_file.is_some(), "AZURE_FEDERATED_TOKEN_FILE", IdentityKind::Workload),
        (
            azure.azure_client_certificate_path.is_some(),
            "AZURE_CLIENT_CERTIFICATE_PATH",
            IdentityKind::ClientCertificate,
        ),
        (azure.azure_client_secret_file.is_some(), "AZURE_CLIENT_SECRET_FILE", IdentityKind::ClientSecret),
        (secrets.client_secret.is_some(), "AZURE_CLIENT_SECRET", IdentityKind::ClientSecret),
        (azure.azure_config_file.is_some(), "KEYWARD_AZURE_CONFIG_FILE", IdentityKind::AzureJson),
    ];
    let mut set = set.into_iter().filter(|(set, ..)| *set);
    match (set.next(), set.next()) {
        (None, _) => Err(IdentityError::None),
        (Some((_, _, kind)), None) => Ok(kind),
        (Some((_, one, _)), Some((_, other, _))) => Err(IdentityError::Two(one, other)),
    }
}

fn own(azure: &AzureArgs, secrets: &Secrets, endpoint: &ManagedEndpoint) -> Result<IdentityConfig, IdentityError> {
    match kind(azure, secrets)? {
        IdentityKind::Workload => Ok(IdentityConfig::WorkloadIdentity {
            application: application(azure)?,
            token_file: azure
                .azure_federated_token_file
                .clone()
                .ok_or(IdentityError::Missing("AZURE_FEDERATED_TOKEN_FILE"))?,
        }),
        IdentityKind::ClientSecret => Ok(IdentityConfig::ClientSecret {
            application: application(azure)?,
            secret: client_secret(azure, secrets)?,
        }),
        IdentityKind::ClientCertificate => Ok(IdentityConfig::ClientCertificate {
            application: application(azure)?,
            certificate: certificate(azure, secrets)?,
            send_chain: azure.azure_client_send_certificate_chain,
        }),
        IdentityKind::Managed => {
            Ok(IdentityConfig::ManagedIdentity { id: managed_id(azure), endpoint: endpoint.clone() })
        }
        IdentityKind::AzureJson => {
            let (path, json) = azure_json(azure)?;
            let beside = Beside {
                tenant_id: azure.azure_tenant_id.clone(),
                client_id: azure.azure_client_id.clone(),
                token_file: azure.azure_federated_token_file.clone(),
                send_chain: azure.azure_client_send_certificate_chain,
            };
            let identity = json.identity(beside, endpoint);
            identity.map_err(|source| IdentityError::AzureJson { path, source })
        }
    }
}

fn application(azure: &AzureArgs) -> Result<Application, IdentityError> {
    Ok(Application {
        tenant_id: azure.azure_tenant_id.clone().ok_or(IdentityError::Missing("AZURE_TENANT_ID"))?,
        client_id: azure.azure_client_id.clone().ok_or(IdentityError::Missing("AZURE_CLIENT_ID"))?,
    })
}

fn client_secret(azure: &AzureArgs, secrets: &Secrets) -> Result<SecretSource, IdentityError> {
    match (&azure.azure_client_secret_file, &secrets.client_secret) {
        (Some(_), Some(_)) => Err(IdentityError::Two("AZURE_CLIENT_SECRET_FILE", "AZURE_CLIENT_SECRET")),
        (Some(path), None) => Ok(SecretSource::File(readable("AZURE_CLIENT_SECRET_FILE", path.clone())?)),
        (None, Some(secret)) => Ok(SecretSource::Held(secret.clone())),
        (None, None) => Err(IdentityError::Missing("AZURE_CLIENT_SECRET_FILE or AZURE_CLIENT_SECRET")),
    }
}

fn certificate(azure: &AzureArgs, secrets: &Secrets) -> Result<CertificateSource, IdentityError> {
    const PATH: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
    const PASSWORD_FILE: &str = "AZURE_CLIENT_CERTIFICATE_PASSWORD_FILE";
    let path = azure.azure_client_certificate_path.clone().ok_or(IdentityError::Missing(PATH))?;
    let password = match (&azure.azure_client_certificate_password_file, &secrets.certificate_password) {
        (Some(_), Some(_)) => return Err(IdentityError::Two(PASSWORD_FILE, "AZURE_CLIENT_CERTIFICATE_PASSWORD")),
        (Some(file), None) => Some(SecretSource::File(readable(PASSWORD_FILE, file.clone())?)),
        (None, password) => password.clone().map(SecretSource::Held),
    };
    Ok(CertificateSource::File { path: readable(PATH, path)?, password })
}

/// What a person mounted must be there at the start; later it is read at each sign-in.
fn readable(variable: &'static str, path: PathBuf) -> Result<PathBuf, IdentityError> {
    match fs::File::open(&path) {
        Ok(_) => Ok(path),
        Err(source) => Err(IdentityError::File { variable, path, source }),
    }
}

fn managed_id(azure: &AzureArgs) -> ManagedId {
    let (client, object) = (azure.azure_client_id.clone(), azure.azure_object_id.clone());
    let resource = || azure.azure_resource_id.clone().map(ManagedId::Resource);
    let chosen = client.map(ManagedId::Client).or(object.map(ManagedId::Object)).or_else(resource);
    chosen.unwrap_or(ManagedId::System)
}

/// App Service where it announces itself, else the instance metadata service.
fn endpoint(azure: &AzureArgs, secrets: &Secrets) -> Result<ManagedEndpoint, IdentityError> {
    let refused = |variable| move |source| IdentityError::Endpoint { variable, source };
    match (&azure.identity_endpoint, &secrets.identity_header) {
        (Some(endpoint), Some(header)) => {
            managed::app_service(endpoint, header.clone()).map_err(refused("IDENTITY_ENDPOINT"))
        }
        // Azure Arc sets the endpoint alone; its way of proof is another one.
        _ => managed::imds(azure.azure_pod_identity_authority_host.as_deref())
            .map_err(refused("AZURE_POD_IDENTITY_AUTHORITY_HOST")),
    }
}

fn azure_json(azure: &AzureArgs) -> Result<(PathBuf, AzureJson), IdentityError> {
    const VARIABLE: &str = "KEYWARD_AZURE_CONFIG_FILE";
    let path = azure.azure_config_file.clone().ok_or(IdentityError::Missing(VARIABLE))?;
    match fs::read_to_string(&path).map(zeroize::Zeroizing::new) {
        Ok(text) => match AzureJson::parse(&text) {
            Ok(json) => Ok((path, json)),
            Err(source) => Err(IdentityError::AzureJson { path, source }),
        },
        Err(source) => Err(IdentityError::File { variable: VARIABLE, path, source }),
    }
}

#[cfg(test)]
mod tests;
