//! An object as the API server gives it, of which nothing is understood but its metadata. So one that is invalid hides
//! neither another nor its own deletion.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keyward_crds::meta;
use kube::{
    Resource,
    core::{ApiResource, DynamicResourceScope},
};
use serde::Deserialize;
use serde_json::Value;

/// The object.
#[derive(Clone, Debug, Deserialize)]
pub struct Raw {
    /// `metadata`
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// `spec`
    #[serde(default)]
    pub spec: Option<Value>,
    /// `status`
    #[serde(default)]
    pub status: Option<Value>,
}

impl Raw {
    /// The parts of its metadata that Keyward reads.
    pub fn meta(&self) -> meta::ObjectMeta {
        let ObjectMeta { name, namespace, uid, generation, creation_timestamp, .. } = self.metadata.clone();
        meta::ObjectMeta {
            name: name.unwrap_or_default(),
            namespace,
            uid,
            generation,
            creation_timestamp: creation_timestamp.map(|time| time.0.to_string()),
            ..meta::ObjectMeta::default()
        }
    }
}

impl Resource for Raw {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
