//! An `AzureKeyVaultSecret` as the API server holds it.
//!
//! Reading one never fails: what makes no sense is kept as a reason, so that an invalid object hides neither another one
//! nor its own deletion. Of its metadata only what is looked at is kept: there are thousands.

use std::borrow::Cow;

use k8s_openapi::{
    api::core::v1::ObjectReference,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use keyward_crds::{
    AzureKeyVaultSecretSpec,
    akvs::{GROUP, KIND},
};
use kube::core::{NamespaceResourceScope, Resource};
use serde::Deserialize;
use serde_json::Value;

use crate::status::Status;

/// The version that is stored, watched and written.
pub const VERSION: &str = "v2beta1";
/// As in the API's paths.
pub const PLURAL: &str = "azurekeyvaultsecrets";
/// `"true"` lets a Secret that exists already, and is not ours, be taken over.
pub const ADOPT: &str = "keyward.dev/adopt";

/// One `AzureKeyVaultSecret`.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Wire")]
pub struct Akvs {
    /// `metadata`, without `managedFields`.
    pub metadata: ObjectMeta,
    /// `spec`, or what is wrong with it.
    pub spec: Result<AzureKeyVaultSecretSpec, String>,
    /// `status`, as far as it is ours and makes sense.
    pub status: Option<Status>,
}

#[derive(Deserialize)]
struct Wire {
    metadata: ObjectMeta,
    spec: Option<Value>,
    status: Option<Value>,
}

impl From<Wire> for Akvs {
    fn from(wire: Wire) -> Self {
        let mut metadata = wire.metadata;
        metadata.managed_fields = None;
        // What kubectl applied last is as large as the object itself.
        if let Some(annotations) = &mut metadata.annotations {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        let spec = wire.spec.ok_or("it is missing".to_owned());
        let spec = spec
            .and_then(|spec| AzureKeyVaultSecretSpec::deserialize(spec).map_err(|error| error.to_string()))
            .map_err(|reason| format!("spec: {reason}"));
        let status = wire.status.and_then(|status| Status::deserialize(status).ok());
        Self { metadata, spec, status }
    }
}

impl Akvs {
    /// `metadata.namespace`
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.name`
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// `metadata.uid`
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// `metadata.generation`
    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    /// `metadata.creationTimestamp`
    pub fn created(&self) -> Option<&Time> {
        self.metadata.creation_timestamp.as_ref()
    }

    /// Whether it is on its way out.
    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether what exists may be taken over.
    pub fn adopts(&self) -> bool {
        self.metadata.annotations.as_ref().and_then(|all| all.get(ADOPT)).is_some_and(|value| value == "true")
    }

    /// Whether it asks for a Secret or a `ConfigMap`; false where its spec makes no sense.
    pub fn has_output(&self) -> bool {
        let output = self.spec.as_ref().ok().and_then(|spec| spec.output.as_ref());
        output.is_some_and(|output| output.secret.is_some() || output.config_map.is_some())
    }

    /// For events about it.
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(format!("{GROUP}/{VERSION}")),
            kind: Some(KIND.to_owned()),
            namespace: self.metadata.namespace.clone(),
            name: self.metadata.name.clone(),
            uid: self.metadata.uid.clone(),
            resource_version: self.metadata.resource_version.clone(),
            field_path: None,
        }
    }
}

impl Resource for Akvs {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_that_makes_no_sense_is_read_with_the_reason() {
        for (spec, said) in [
            (json!({"vault": {"name": "acme", "object": {"name": "db", "type": "password"}}}), "password"),
            (json!({"vault": {"name": "acme"}}), "object"),
            (json!("nothing"), "spec: "),
            (json!(null), "spec: it is missing"),
        ] {
            let akvs: Akvs = serde_json::from_value(json!({
                "apiVersion": "spv.no/v2beta1", "kind": "AzureKeyVaultSecret",
                "metadata": {"name": "db", "namespace": "shop", "uid": "u1"}, "spec": spec, "status": {"conditions": 7},
            }))
            .unwrap();
            assert_eq!(akvs.uid(), "u1");
            assert!(akvs.spec.unwrap_err().contains(said), "{said}");
            assert!(akvs.status.is_none());
        }
    }

    #[test]
    fn what_nobody_looks_at_is_not_kept() {
        let akvs: Akvs = serde_json::from_value(json!({
            "metadata": {
                "name": "db", "namespace": "shop", "uid": "u1", "generation": 3,
                "annotations": {"keyward.dev/adopt": "true", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
                "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {}}],
            },
            "spec": {"vault": {"name": "acme", "object": {"name": "db", "type": "secret"}}},
        }))
        .unwrap();
        assert!(akvs.metadata.managed_fields.is_none());
        assert_eq!(akvs.metadata.annotations.as_ref().unwrap().len(), 1);
        assert!(akvs.adopts() && !akvs.has_output() && akvs.generation() == 3);
    }
}
