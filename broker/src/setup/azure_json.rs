//! `azure.json`, the configuration of Kubernetes' cloud provider for Azure: whose identity it describes, in which
//! cloud. Pure. Fields that say nothing about that are passed over.
//!
//! Source: <https://cloud-provider-azure.sigs.k8s.io/install/configs/>

use std::path::PathBuf;

use keyward_crds::azure_key_vault::Cloud;
use keyward_types::SecretBytes;
use serde_json::{Map, Value};

use crate::vault::credential::{
    Application, CertificateSource, IdentityConfig, ManagedEndpoint, ManagedId, SecretSource,
};

/// Written by AKS for id and secret where the machine's identity is meant.
const MSI: &str = "msi";

/// Why the file is of no use. Never quotes a value that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AzureJsonError {
    /// Neither JSON nor YAML, or no object.
    #[error("it is no JSON or YAML object")]
    Form,
    /// A field of the wrong type.
    #[error("`{field}` is no {expected}")]
    Type {
        /// Which.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A cloud of another name.
    #[error(
        "`cloud` is `{0}`; known are AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, and AzureStackCloud with \
         AZURE_AUTHORITY_HOST, KEYWARD_AZURE_VAULT_DNS_SUFFIX and KEYWARD_AZURE_VAULT_AUDIENCE set"
    )]
    Cloud(String),
    /// A directory that is not Entra.
    #[error("`identitySystem` is `adfs`, which is not supported: only Entra is")]
    Adfs,
    /// Nothing that proves an identity.
    #[error(
        "it describes no identity: set useManagedIdentityExtension, useFederatedWorkloadIdentityExtension, \
         aadClientSecret or aadClientCertPath"
    )]
    NoIdentity,
    /// A field that the identity needs.
    #[error("`{0}` is missing, and the identity it describes needs it")]
    Missing(&'static str),
}

/// What the file says.
pub(super) struct AzureJson(Map<String, Value>);

/// What the file may leave to the environment.
pub(super) struct Beside {
    pub(super) tenant_id: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) send_chain: bool,
}

impl AzureJson {
    /// The cloud provider reads YAML, of which JSON is a part.
    pub(super) fn parse(text: &str) -> Result<Self, AzureJsonError> {
        let value = serde_json::from_str(text).or_else(|_| serde_saphyr::from_str(text));
        match value {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            // The parser's own words would quote the file, which holds a secret.
            _ => Err(AzureJsonError::Form),
        }
    }

    /// The cloud it names; none where it names none.
    pub(super) fn cloud(&self) -> Result<Option<Cloud>, AzureJsonError> {
        let Some(name) = self.text("cloud")? else { return Ok(None) };
        match name.to_ascii_uppercase().as_str() {
            "AZUREPUBLICCLOUD" | "AZURECLOUD" => Ok(Some(Cloud::AzurePublic)),
            "AZUREUSGOVERNMENTCLOUD" | "AZUREUSGOVERNMENT" => Ok(Some(Cloud::AzureUSGovernment)),
            "AZURECHINACLOUD" => Ok(Some(Cloud::AzureChina)),
            "AZURESTACKCLOUD" => Ok(Some(Cloud::AzureCustom)),
            _ => Err(AzureJsonError::Cloud(name.chars().take(64).flat_map(char::escape_debug).collect())),
        }
    }

    /// The identity it describes: the machine's where flagged, else by federation, secret or certificate, in order.
    pub(super) fn identity(
        &self,
        beside: Beside,
        endpoint: &ManagedEndpoint,
    ) -> Result<IdentityConfig, AzureJsonError> {
        let client_id = self.text("aadClientId")?;
        let by_convention = client_id.is_some_and(|id| id.eq_ignore_ascii_case(MSI));
        if self.flag("useManagedIdentityExtension")? || by_convention {
            return Ok(IdentityConfig::ManagedIdentity { id: self.assigned()?, endpoint: endpoint.clone() });
        }
        if self.text("identitySystem")?.is_some_and(|system| system.eq_ignore_ascii_case("adfs")) {
            return Err(AzureJsonError::Adfs);
        }
        let Beside { tenant_id, client_id: client_beside, token_file, send_chain } = beside;
        let tenant_id = self.text("tenantId")?.map(ToOwned::to_owned).or(tenant_id);
        let client_id = client_id.map(ToOwned::to_owned).or(client_beside);
        let application = || {
            Ok::<_, AzureJsonError>(Application {
                tenant_id: tenant_id.ok_or(AzureJsonError::Missing("tenantId"))?,
                client_id: client_id.ok_or(AzureJsonError::Missing("aadClientId"))?,
            })
        };
        if self.flag("useFederatedWorkloadIdentityExtension")? {
            let token_file = self.text("aadFederatedTokenFile")?.map(PathBuf::from).or(token_file);
            let token_file = token_file.ok_or(AzureJsonError::Missing("aadFederatedTokenFile"))?;
            return Ok(IdentityConfig::WorkloadIdentity { application: application()?, token_file });
        }
        if let Some(secret) = self.text("aadClientSecret")? {
            let secret = SecretSource::Held(secret.into());
            return Ok(IdentityConfig::ClientSecret { application: application()?, secret });
        }
        let path = self.text("aadClientCertPath")?.ok_or(AzureJsonError::NoIdentity)?.into();
        let password = self.text("aadClientCertPassword")?.map(|text| SecretSource::Held(SecretBytes::from(text)));
        let certificate = CertificateSource::File { path, password };
        Ok(IdentityConfig::ClientCertificate { application: application()?, certificate, send_chain })
    }

    fn assigned(&self) -> Result<ManagedId, AzureJsonError> {
        Ok(match self.text("userAssignedIdentityID")? {
            None => ManagedId::System,
            Some(id) if id.to_ascii_lowercase().contains("/subscriptions/") => ManagedId::Resource(id.to_owned()),
            Some(id) => ManagedId::Client(id.to_owned()),
        })
    }

    /// The cloud provider does not look at the case of names, and takes nothing for absent.
    fn field(&self, name: &str) -> Option<&Value> {
        let exact = self.0.get(name);
        exact.or_else(|| self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }

    fn text(&self, field: &'static str) -> Result<Option<&str>, AzureJsonError> {
        match self.field(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(AzureJsonError::Type { field, expected: "text" }),
        }
    }

    fn flag(&self, field: &'static str) -> Result<bool, AzureJsonError> {
        match self.field(field) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(set)) => Ok(*set),
            Some(_) => Err(AzureJsonError::Type { field, expected: "true or false" }),
        }
    }
}

#[cfg(test)]
mod tests;
