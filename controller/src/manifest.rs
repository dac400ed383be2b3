//! A Secret or a `ConfigMap` as it is sent to the API server. Values are borrowed to the last: what is sent is the only copy.

use std::collections::BTreeMap;

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use keyward_types::SecretBytes;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    akvs::{Akvs, VERSION},
    desired::Desired,
    target::{Target, TargetKind},
};

/// The object.
#[derive(Clone)]
pub struct Manifest<'a> {
    /// Which.
    pub target: &'a Target,
    /// The revision that was looked at; with it, anything newer is left as it is.
    pub resource_version: Option<&'a str>,
    /// The Secret's type, where there is something to say about it.
    pub secret_type: Option<&'a str>,
    /// `metadata.labels`
    pub labels: BTreeMap<&'a str, &'a str>,
    /// `metadata.annotations`
    pub annotations: BTreeMap<&'a str, &'a str>,
    /// `metadata.ownerReferences`
    pub owners: Vec<OwnerReference>,
    /// `data`, not yet in base64.
    pub data: BTreeMap<&'a str, &'a SecretBytes>,
}

impl<'a> Manifest<'a> {
    /// What is applied for `owner` to have it as `desired`.
    pub fn applied(owner: &Akvs, desired: &'a Desired, resource_version: Option<&'a str>) -> Self {
        Self {
            target: &desired.target,
            resource_version,
            secret_type: desired.secret_type.as_deref(),
            labels: texts(&desired.labels),
            annotations: texts(&desired.annotations),
            owners: vec![owner_reference(owner)],
            data: desired.data.iter().map(|(key, value)| (key.as_str(), value)).collect(),
        }
    }
}

/// What `akvs` is named by among the owners of what is written for it.
pub(crate) fn owner_reference(akvs: &Akvs) -> OwnerReference {
    OwnerReference {
        api_version: format!("{}/{VERSION}", keyward_crds::akvs::GROUP),
        kind: keyward_crds::akvs::KIND.to_owned(),
        name: akvs.name().to_owned(),
        uid: akvs.uid().to_owned(),
        // Several may own one object, and only one of an object's owners may be its controller.
        controller: Some(false),
        block_owner_deletion: Some(true),
    }
}

pub(crate) fn texts(map: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

impl Serialize for Manifest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            api_version: &'static str,
            kind: &'static str,
            metadata: Metadata<'a>,
            #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
            secret_type: Option<&'a str>,
            data: Data<'a>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata<'a> {
            name: &'a str,
            namespace: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            resource_version: Option<&'a str>,
            labels: &'a BTreeMap<&'a str, &'a str>,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            annotations: &'a BTreeMap<&'a str, &'a str>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            owner_references: &'a [OwnerReference],
        }
        let Target { kind, namespace, name } = self.target;
        let metadata = Metadata {
            name,
            namespace,
            resource_version: self.resource_version,
            labels: &self.labels,
            annotations: &self.annotations,
            owner_references: &self.owners,
        };
        let data = Data { kind: *kind, data: &self.data };
        Wire { api_version: "v1", kind: kind.as_str(), metadata, secret_type: self.secret_type, data }
            .serialize(serializer)
    }
}

/// `data`, written as the kind has it.
struct Data<'a> {
    kind: TargetKind,
    data: &'a BTreeMap<&'a str, &'a SecretBytes>,
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.data.len()))?;
        for (key, value) in self.data {
            map.serialize_key(key)?;
            match self.kind {
                TargetKind::Secret => map.serialize_value(&Shown(&Base64Display::new(value.expose(), &STANDARD)))?,
                TargetKind::ConfigMap => map.serialize_value(value.expose_str().unwrap_or_default())?,
            }
        }
        map.end()
    }
}

/// Written as it shows itself, without a copy between.
struct Shown<'a, T>(&'a T);

impl<T: std::fmt::Display> Serialize for Shown<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}
