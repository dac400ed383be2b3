//! From a vault's choice to an identity that can sign in, by what the broker was given. Pure.

use std::{path::PathBuf, sync::Arc};

use crate::{
    policy::identity::{ChosenBy, IdentityChoice, SecretName},
    vault::credential::{
        Application, CertificateSource, IdentityConfig, ManagedEndpoint, ManagedId, SecretSource, Store, Stored,
    },
};

/// What identities are made of.
#[derive(Clone, Debug)]
pub struct Identities {
    /// The broker's own.
    pub own: IdentityConfig,
    /// The tenant of choices that name none.
    pub tenant_id: Option<String>,
    /// The application of choices that name none and need one.
    pub client_id: Option<String>,
    /// The service account's token for Entra, where one is projected.
    pub token_file: Option<PathBuf>,
    /// Where managed identities' tokens come from.
    pub endpoint: ManagedEndpoint,
    /// Where `secretName`s lead.
    pub credentials: Option<Credentials>,
    /// Whether certificates' chains are sent along.
    pub send_chain: bool,
}

/// Where the secrets and certificates are that `AzureKeyVault`s name.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// In directories below this one.
    Directory(PathBuf),
    /// In a store.
    Store(Arc<dyn Store>),
}

/// What a choice needs and the broker has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// No tenant anywhere.
    #[error("spec.tenantId is missing, and the broker has no AZURE_TENANT_ID")]
    Tenant,
    /// No application anywhere.
    #[error("spec.identity.clientId is missing, and the broker has no AZURE_CLIENT_ID")]
    Client,
    /// No federated token.
    #[error("spec.identity.type is WorkloadIdentity, and the broker has no AZURE_FEDERATED_TOKEN_FILE")]
    TokenFile,
    /// Nowhere to look for credentials.
    #[error("spec.identity.secretName is set, and the broker has no KEYWARD_AZURE_CREDENTIALS_DIR")]
    Credentials,
    /// A tenant for a managed identity.
    #[error("spec.tenantId is of no use to the broker's managed identity; remove it, or set spec.identity.type")]
    ManagedTenant,
}

impl Identities {
    /// The identity that `choice` means.
    pub fn of(&self, choice: &IdentityChoice) -> Result<IdentityConfig, Unavailable> {
        let tenant = choice.tenant_id.as_ref();
        match &choice.by {
            ChosenBy::Broker { client_id } => self.like_own(tenant, client_id.as_ref()),
            ChosenBy::WorkloadIdentity { client_id } => Ok(IdentityConfig::WorkloadIdentity {
                application: self.application(tenant, client_id.as_ref())?,
                token_file: self.token_file.clone().ok_or(Unavailable::TokenFile)?,
            }),
            ChosenBy::ManagedIdentity(id) => {
                Ok(IdentityConfig::ManagedIdentity { id: id.clone(), endpoint: self.endpoint.clone() })
            }
            ChosenBy::ClientSecret { client_id, secret_name } => Ok(IdentityConfig::ClientSecret {
                application: self.application(tenant, Some(client_id))?,
                secret: match self.credentials(secret_name)? {
                    Found::Directory(directory) => SecretSource::File(directory.join("client-secret")),
                    Found::Stored(stored) => SecretSource::Stored(stored),
                },
            }),
            ChosenBy::ClientCertificate { client_id, secret_name } => Ok(IdentityConfig::ClientCertificate {
                application: self.application(tenant, Some(client_id))?,
                certificate: match self.credentials(secret_name)? {
                    Found::Directory(directory) => CertificateSource::Directory(directory),
                    Found::Stored(stored) => CertificateSource::Stored(stored),
                },
                send_chain: self.send_chain,
            }),
        }
    }

    /// The broker's own proof, for another tenant or application.
    fn like_own(&self, tenant: Option<&String>, client: Option<&String>) -> Result<IdentityConfig, Unavailable> {
        let mut identity = self.own.clone();
        match &mut identity {
            IdentityConfig::ManagedIdentity { .. } if tenant.is_some() => return Err(Unavailable::ManagedTenant),
            IdentityConfig::ManagedIdentity { id, .. } => {
                if let Some(client) = client {
                    *id = ManagedId::Client(client.clone());
                }
            }
            IdentityConfig::WorkloadIdentity { application, .. }
            | IdentityConfig::ClientSecret { application, .. }
            | IdentityConfig::ClientCertificate { application, .. } => {
                *application =
                    self.application(tenant.or(Some(&application.tenant_id)), client.or(Some(&application.client_id)))?;
            }
        }
        Ok(identity)
    }

    fn application(&self, tenant: Option<&String>, client: Option<&String>) -> Result<Application, Unavailable> {
        Ok(Application {
            tenant_id: tenant.or(self.tenant_id.as_ref()).ok_or(Unavailable::Tenant)?.clone(),
            client_id: client.or(self.client_id.as_ref()).ok_or(Unavailable::Client)?.clone(),
        })
    }

    fn credentials(&self, name: &SecretName) -> Result<Found, Unavailable> {
        Ok(match self.credentials.as_ref().ok_or(Unavailable::Credentials)? {
            Credentials::Directory(below) => Found::Directory(below.join(name.as_str())),
            Credentials::Store(store) => {
                Found::Stored(Stored { store: Arc::clone(store), name: name.as_str().to_owned() })
            }
        })
    }
}

/// Where one name leads.
enum Found {
    Directory(PathBuf),
    Stored(Stored),
}

#[cfg(test)]
mod tests;
