//! `status` of an `AzureKeyVaultSecret`. The controller writes it; what akv2k8s wrote there stays readable.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of it. Written when something changes, and not otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureKeyVaultSecretStatus {
    /// `Ready`: whether what the vault holds is in effect here, and if not, why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::conditions::schema")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this is said of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The object's version that is in effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When this version expires, as the vault says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<String>,
    /// The Secret that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// The `ConfigMap` that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_name: Option<String>,
    /// What akv2k8s left here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_hash: Option<String>,
    /// What akv2k8s left here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_hash: Option<String>,
    /// What akv2k8s left here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_azure_update: Option<String>,
}
