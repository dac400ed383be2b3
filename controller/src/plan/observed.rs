//! An object as the API server holds it.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use keyward_types::SecretBytes;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    fields::{self, Part},
    target::TargetKind,
};

/// A Secret or a `ConfigMap`, as far as it matters.
#[derive(Debug)]
pub struct Observed {
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.resourceVersion`
    pub resource_version: String,
    /// Whether it is on its way out.
    pub deleting: bool,
    /// `type` of a Secret.
    pub secret_type: Option<String>,
    /// `data`, not in base64; of a `ConfigMap` also the keys of `binaryData`, without their values.
    pub data: BTreeMap<String, SecretBytes>,
    /// `metadata.labels`
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`
    pub annotations: BTreeMap<String, String>,
    /// UIDs of its owners.
    pub owners: BTreeSet<String>,
    /// The same, whole.
    pub owner_references: Vec<OwnerReference>,
    /// Who owns what of it.
    pub parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Wire {
    metadata: ObjectMeta,
    #[serde(rename = "type")]
    secret_type: Option<String>,
    data: Option<BTreeMap<String, Value>>,
    #[serde(rename = "binaryData")]
    binary_data: Option<BTreeMap<String, Value>>,
}

/// A value as it is written, wiped when it is dropped.
struct Value(SecretBytes);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

impl Observed {
    /// From the API server's answer. The error says where it makes no sense and never quotes it.
    pub fn read(kind: TargetKind, answer: &[u8]) -> Result<Self, serde_json::Error> {
        let unreadable = |error: serde_json::Error| {
            serde_json::Error::custom(format!("line {}, column {}", error.line(), error.column()))
        };
        let wire: Wire = serde_json::from_slice(answer).map_err(unreadable)?;
        let decoded = |value: Value| match kind {
            TargetKind::ConfigMap => Ok(value.0),
            TargetKind::Secret => STANDARD
                .decode(value.0.expose())
                .map(SecretBytes::new)
                .map_err(|_| serde_json::Error::custom("a value is not base64")),
        };
        let data = wire.data.unwrap_or_default().into_iter().map(|(key, value)| Ok((key, decoded(value)?)));
        let mut data = data.collect::<Result<BTreeMap<_, _>, serde_json::Error>>()?;
        data.extend(wire.binary_data.unwrap_or_default().into_keys().map(|key| (key, SecretBytes::new(Vec::new()))));
        let mut metadata = wire.metadata;
        let owner_references = metadata.owner_references.take().unwrap_or_default();
        Ok(Self {
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
            secret_type: wire.secret_type,
            data,
            labels: metadata.labels.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            owners: owner_references.iter().map(|owner| owner.uid.clone()).collect(),
            owner_references,
            parts: fields::parts(&metadata.managed_fields.unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str =
        r#"{"metadata":{"name":"a","uid":"u","resourceVersion":"7"},"type":"Opaque","data":{"k":"a3djYW5hcnk="}}"#;

    #[test]
    fn values_are_decoded_and_do_not_show() {
        let observed = Observed::read(TargetKind::Secret, SECRET.as_bytes()).unwrap();
        assert_eq!(observed.data["k"], SecretBytes::from(concat!("kw", "canary")));
        assert_eq!((observed.uid.as_str(), observed.resource_version.as_str()), ("u", "7"));
        assert!(!format!("{observed:?}").contains("a3dj"));
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_not_quoted() {
        for bad in [
            SECRET.replace("\"Opaque\"", "[\"kwcanary\"]"),
            SECRET.replace("a3djYW5hcnk=", "kwcanary is not base64"),
            SECRET.replace("\"a3djYW5hcnk=\"", "{\"kwcanary\":1}"),
            "kwcanary".to_owned(),
        ] {
            let error = Observed::read(TargetKind::Secret, bad.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("canary"), "an answer is quoted");
        }
    }
}
