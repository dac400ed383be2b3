//! Which identity reads a vault, as its `AzureKeyVault` chooses. Pure: whether the broker has what the choice needs is
//! found when the vault is opened.

use keyward_crds::{
    AzureKeyVaultSpec,
    azure_key_vault::{IdentitySpec, IdentityType},
};

use crate::vault::credential::ManagedId;

/// The choice. Equal choices are one identity, to cache and readers alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityChoice {
    /// The Entra tenant where it is not the broker's.
    pub tenant_id: Option<String>,
    /// Who.
    pub by: ChosenBy,
}

/// How the chosen identity proves itself, and who it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChosenBy {
    /// As the broker's own does; perhaps as another application.
    Broker {
        /// The other application.
        client_id: Option<String>,
    },
    /// The broker's service account token.
    WorkloadIdentity {
        /// The application, where it is not the broker's.
        client_id: Option<String>,
    },
    /// The machine.
    ManagedIdentity(ManagedId),
    /// A secret.
    ClientSecret {
        /// The application.
        client_id: String,
        /// Where its secret is.
        secret_name: SecretName,
    },
    /// A certificate.
    ClientCertificate {
        /// The application.
        client_id: String,
        /// Where its certificate is.
        secret_name: SecretName,
    },
}

impl Default for ChosenBy {
    fn default() -> Self {
        Self::Broker { client_id: None }
    }
}

/// A directory's name, which leads nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName(String);

impl SecretName {
    fn new(text: &str) -> Result<Self, InvalidChoice> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let ends = text.bytes().next().zip(text.bytes().last());
        let label = text.len() <= 63
            && text.bytes().all(inner)
            && ends.is_some_and(|(first, last)| first != b'-' && last != b'-');
        if label { Ok(Self(text.to_owned())) } else { Err(InvalidChoice::SecretName(shown(text))) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a choice makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChoice {
    /// A field beside a type that has no use for it.
    #[error("`{field}` is of no use {kind}; remove it, or set `type: {wanted}`")]
    Useless {
        /// The field.
        field: &'static str,
        /// The type it stands beside.
        kind: &'static str,
        /// The types that use it.
        wanted: &'static str,
    },
    /// A field that the type needs.
    #[error("`type: {kind}` needs `{field}`")]
    Missing {
        /// The field.
        field: &'static str,
        /// The type.
        kind: &'static str,
    },
    /// Several ids of one managed identity.
    #[error("clientId, objectId and resourceId exclude each other; keep one")]
    SeveralIds,
    /// Two tenants.
    #[error("tenantId and spec.tenantId differ; keep one")]
    Tenants,
    /// A managed identity elsewhere.
    #[error("a managed identity has the tenant it was made in; remove tenantId")]
    ManagedTenant,
    /// An id that cannot be one.
    #[error("{field}: `{text}` is none; write it as the Azure portal shows it")]
    Id {
        /// The field.
        field: &'static str,
        /// What it holds.
        text: String,
    },
    /// A name that is no directory's.
    #[error("secretName: `{0}` is no name of up to 63 of a-z, 0-9 and -")]
    SecretName(String),
}

impl IdentityChoice {
    /// Checks what a declaration says.
    pub fn new(spec: &AzureKeyVaultSpec) -> Result<Self, InvalidChoice> {
        let nothing = IdentitySpec::default();
        let identity = spec.identity.as_ref().unwrap_or(&nothing);
        ids(spec, identity)?;
        let tenant_id = match (&spec.tenant_id, &identity.tenant_id) {
            (Some(one), Some(other)) if one != other => return Err(InvalidChoice::Tenants),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let by = chosen(identity)?;
        if tenant_id.is_some() && matches!(by, ChosenBy::ManagedIdentity(_)) {
            return Err(InvalidChoice::ManagedTenant);
        }
        Ok(Self { tenant_id, by })
    }
}

fn chosen(identity: &IdentitySpec) -> Result<ChosenBy, InvalidChoice> {
    let client_id = identity.client_id.clone();
    match identity.identity_type {
        None => {
            without_secret(identity, "without `type`")?;
            without_machine_ids(identity, "without `type`")?;
            Ok(ChosenBy::Broker { client_id })
        }
        Some(IdentityType::WorkloadIdentity) => {
            without_secret(identity, "beside `type: WorkloadIdentity`")?;
            without_machine_ids(identity, "beside `type: WorkloadIdentity`")?;
            Ok(ChosenBy::WorkloadIdentity { client_id })
        }
        Some(IdentityType::ManagedIdentity) => {
            without_secret(identity, "beside `type: ManagedIdentity`")?;
            managed(identity).map(ChosenBy::ManagedIdentity)
        }
        Some(IdentityType::ClientSecret) => {
            without_machine_ids(identity, "beside `type: ClientSecret`")?;
            let (client_id, secret_name) = application(identity, "ClientSecret")?;
            Ok(ChosenBy::ClientSecret { client_id, secret_name })
        }
        Some(IdentityType::ClientCertificate) => {
            without_machine_ids(identity, "beside `type: ClientCertificate`")?;
            let (client_id, secret_name) = application(identity, "ClientCertificate")?;
            Ok(ChosenBy::ClientCertificate { client_id, secret_name })
        }
    }
}

fn managed(identity: &IdentitySpec) -> Result<ManagedId, InvalidChoice> {
    match (&identity.client_id, &identity.object_id, &identity.resource_id) {
        (None, None, None) => Ok(ManagedId::System),
        (Some(id), None, None) => Ok(ManagedId::Client(id.clone())),
        (None, Some(id), None) => Ok(ManagedId::Object(id.clone())),
        (None, None, Some(id)) => Ok(ManagedId::Resource(id.clone())),
        _ => Err(InvalidChoice::SeveralIds),
    }
}

fn application(identity: &IdentitySpec, kind: &'static str) -> Result<(String, SecretName), InvalidChoice> {
    let missing = |field| InvalidChoice::Missing { field, kind };
    let client_id = identity.client_id.clone().ok_or_else(|| missing("clientId"))?;
    let secret_name = identity.secret_name.as_deref().ok_or_else(|| missing("secretName"))?;
    Ok((client_id, SecretName::new(secret_name)?))
}

fn without_secret(identity: &IdentitySpec, kind: &'static str) -> Result<(), InvalidChoice> {
    let useless = InvalidChoice::Useless { field: "secretName", kind, wanted: "ClientSecret` or `ClientCertificate" };
    identity.secret_name.as_ref().map_or(Ok(()), |_| Err(useless))
}

fn without_machine_ids(identity: &IdentitySpec, kind: &'static str) -> Result<(), InvalidChoice> {
    for (field, id) in [("objectId", &identity.object_id), ("resourceId", &identity.resource_id)] {
        if id.is_some() {
            return Err(InvalidChoice::Useless { field, kind, wanted: "ManagedIdentity" });
        }
    }
    Ok(())
}

/// Ids become parts of URLs and queries.
fn ids(spec: &AzureKeyVaultSpec, identity: &IdentitySpec) -> Result<(), InvalidChoice> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    for (field, id) in [
        ("spec.tenantId", &spec.tenant_id),
        ("tenantId", &identity.tenant_id),
        ("clientId", &identity.client_id),
        ("objectId", &identity.object_id),
    ] {
        let Some(id) = id else { continue };
        if id.is_empty() || id.len() > 128 || !id.bytes().all(plain) || id.bytes().all(|byte| byte == b'.') {
            return Err(InvalidChoice::Id { field, text: shown(id) });
        }
    }
    let arm = |id: &str| id.len() <= 1_024 && id.starts_with('/') && id.bytes().all(|byte| byte.is_ascii_graphic());
    match identity.resource_id.as_deref() {
        Some(id) if !arm(id) => Err(InvalidChoice::Id { field: "resourceId", text: shown(id) }),
        _ => Ok(()),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
