//! Both kinds as the API server wants them, and as the charts hold them. For the generator `crdgen` and for tests; programs
//! that run need none of it.

mod columns;
mod structural;
mod template;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, CustomResourceValidation,
};
use kube::core::CustomResourceExt;

use self::columns::Column;
pub use self::template::{ChartFile, chart_files};
use crate::{AzureKeyVault, AzureKeyVaultSecret, akvs};

/// Why a definition cannot be made: a fault of this crate.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// The schema that its types derive is none.
    #[error("the schema of {kind} cannot be made structural: {source}; correct its types")]
    Schema {
        /// The kind.
        kind: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// It cannot be written.
    #[error("the definition of {kind} cannot be written as YAML: {reason}")]
    Yaml {
        /// The kind.
        kind: &'static str,
        /// Why.
        reason: String,
    },
}

/// `AzureKeyVaultSecret`: every version with one schema, so that nothing is lost between them.
pub fn azure_key_vault_secret() -> Result<CustomResourceDefinition, CrdError> {
    let mut crd = definition::<AzureKeyVaultSecret>(akvs::KIND, columns::SECRET)?;
    let stored = crd.spec.versions.remove(0);
    crd.spec.versions = akvs::VERSIONS.map(|name| version(&stored, name)).into();
    Ok(crd)
}

/// `AzureKeyVault`.
pub fn azure_key_vault() -> Result<CustomResourceDefinition, CrdError> {
    definition::<AzureKeyVault>(crate::azure_key_vault::KIND, columns::VAULT)
}

fn definition<K: CustomResourceExt>(
    kind: &'static str,
    columns: &[Column],
) -> Result<CustomResourceDefinition, CrdError> {
    let mut crd = K::crd();
    for version in &mut crd.spec.versions {
        let schema = version.schema.take().and_then(|schema| schema.open_api_v3_schema);
        let schema = structural::of(schema.as_ref()).map_err(|source| CrdError::Schema { kind, source })?;
        version.additional_printer_columns = Some(columns.iter().map(Column::definition).collect());
        version.schema = Some(CustomResourceValidation { open_api_v3_schema: Some(schema) });
    }
    Ok(crd)
}

fn version(stored: &CustomResourceDefinitionVersion, name: &str) -> CustomResourceDefinitionVersion {
    CustomResourceDefinitionVersion { name: name.to_owned(), storage: name == stored.name, ..stored.clone() }
}
