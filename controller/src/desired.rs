//! Spec and data to the objects there should be. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use keyward_types::SecretBytes;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    akvs::{Akvs, VERSION},
    broker::Fetched,
    target::{Target, TargetKind},
};

/// The label of everything that is written.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "keyward");
/// The type of a Secret that names none.
pub const OPAQUE: &str = "Opaque";

/// An object as it should be.
#[derive(Debug)]
pub struct Desired {
    /// Which.
    pub target: Target,
    /// The Secret's type where the spec names one. Without one, whatever type the Secret has already will do.
    pub secret_type: Option<String>,
    /// Its data, not yet in base64.
    pub data: BTreeMap<String, SecretBytes>,
    /// Labels, ours among them.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Which labels and annotations of an `AzureKeyVaultSecret` what is written carries too. None by default: copied blindly,
/// the tracking labels of deployment tools would have them prune the Secret.
#[derive(Clone, Debug, Default)]
pub struct Propagation {
    /// Keys of labels, `*` standing for any run of characters.
    pub labels: Vec<keyward_types::Pattern>,
    /// Keys of annotations.
    pub annotations: Vec<keyward_types::Pattern>,
}

impl Propagation {
    fn chosen(patterns: &[keyward_types::Pattern], all: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
        let all = all.into_iter().flatten();
        all.filter(|(key, _)| patterns.iter().any(|pattern| pattern.matches(key)))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// The objects that `akvs` asks for now.
pub fn targets(akvs: &Akvs) -> Vec<Target> {
    let Some(output) = akvs.spec.as_ref().ok().and_then(|spec| spec.output.as_ref()) else { return Vec::new() };
    let target = |kind, name: &str| Target { kind, namespace: akvs.namespace().to_owned(), name: name.to_owned() };
    let secret = output.secret.as_ref().map(|secret| target(TargetKind::Secret, &secret.name));
    let config_map = output.config_map.as_ref().map(|config_map| target(TargetKind::ConfigMap, &config_map.name));
    secret.into_iter().chain(config_map).collect()
}

/// Whether `akvs` asks for `target` now.
pub fn wants(akvs: &Akvs, target: &Target) -> bool {
    let output = akvs.spec.as_ref().ok().and_then(|spec| spec.output.as_ref());
    let name = output.and_then(|output| match target.kind {
        TargetKind::Secret => output.secret.as_ref().map(|secret| &secret.name),
        TargetKind::ConfigMap => output.config_map.as_ref().map(|config_map| &config_map.name),
    });
    akvs.namespace() == target.namespace && name == Some(&target.name)
}

/// What each of them should be, given the data.
pub fn desired(akvs: &Akvs, fetched: Fetched, propagation: &Propagation) -> Vec<Desired> {
    let mut labels = Propagation::chosen(&propagation.labels, akvs.metadata.labels.as_ref());
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    let annotations = Propagation::chosen(&propagation.annotations, akvs.metadata.annotations.as_ref());
    let spec = akvs.spec.as_ref().ok();
    let output = spec.and_then(|spec| spec.output.as_ref());
    let named = output.and_then(|output| output.secret.as_ref()).and_then(|secret| secret.secret_type.as_ref());
    let named = named.filter(|name| !name.is_empty());
    let Fetched { secret, config_map, .. } = fetched;
    let (mut secret, mut config_map) = (secret, config_map);
    let of = |target: Target| {
        let (secret_type, data) = match target.kind {
            TargetKind::Secret => (named.cloned(), secret.take()?),
            TargetKind::ConfigMap => (None, config_map.take()?),
        };
        Some(Desired { target, secret_type, data, labels: labels.clone(), annotations: annotations.clone() })
    };
    targets(akvs).into_iter().filter_map(of).collect()
}

/// What is sent to have it so: a server-side apply.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Apply<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: ApplyMetadata<'a>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    secret_type: Option<&'a str>,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApplyMetadata<'a> {
    name: &'a str,
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<&'a str>,
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    owner_references: [OwnerReference; 1],
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

impl<'a> Apply<'a> {
    /// `resource_version` is the one that was looked at; with it, anything newer is left as it is.
    pub fn new(owner: &'a Akvs, desired: &'a Desired, resource_version: Option<&'a str>) -> Self {
        let Target { kind, namespace, name } = &desired.target;
        Self {
            api_version: "v1",
            kind: kind.as_str(),
            metadata: ApplyMetadata {
                name,
                namespace,
                resource_version,
                labels: &desired.labels,
                annotations: &desired.annotations,
                owner_references: [owner_reference(owner)],
            },
            secret_type: desired.secret_type.as_deref(),
            data: Data::new(*kind, desired.data.iter().map(|(key, value)| (key.as_str(), value))),
        }
    }
}

/// `data`, written as the kind has it.
pub(crate) struct Data<'a> {
    kind: TargetKind,
    data: Vec<(&'a str, &'a SecretBytes)>,
}

impl<'a> Data<'a> {
    pub(crate) fn new(kind: TargetKind, data: impl Iterator<Item = (&'a str, &'a SecretBytes)>) -> Self {
        Self { kind, data: data.collect() }
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::{display::Base64Display, engine::general_purpose::STANDARD};

        let mut map = serializer.serialize_map(Some(self.data.len()))?;
        for (key, value) in &self.data {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn akvs(output: &Value) -> Akvs {
        serde_json::from_value(json!({
            "metadata": {
                "name": "db", "namespace": "shop", "uid": "u1",
                "labels": {"team": "shop", "argocd.argoproj.io/instance": "all"},
                "annotations": {"note": "x"},
            },
            "spec": {"vault": {"name": "acme", "object": {"name": "db", "type": "secret"}}, "output": output},
        }))
        .unwrap()
    }

    fn fetched() -> Fetched {
        Fetched {
            secret: Some(BTreeMap::from([("k".to_owned(), SecretBytes::from("kwcanary"))])),
            config_map: Some(BTreeMap::from([("k".to_owned(), SecretBytes::from("kwcanary"))])),
            ..Fetched::default()
        }
    }

    #[test]
    fn both_outputs_are_desired_each_in_its_own_form() {
        let akvs = akvs(&json!({
            "secret": {"name": "one", "dataKey": "k", "type": ""}, "configMap": {"name": "two", "dataKey": "k"},
        }));
        let desired = desired(&akvs, fetched(), &Propagation::default());
        let bodies: Vec<Value> =
            desired.iter().map(|desired| serde_json::to_value(Apply::new(&akvs, desired, None)).unwrap()).collect();
        assert_eq!(bodies[0]["data"]["k"], "a3djYW5hcnk=");
        assert_eq!(bodies[0].get("type"), None, "an empty type is none");
        assert_eq!(bodies[1]["data"]["k"], concat!("kw", "canary"));
        assert_eq!((&bodies[0]["kind"], &bodies[1]["kind"]), (&json!("Secret"), &json!("ConfigMap")));
        assert_eq!(bodies[0]["metadata"]["ownerReferences"][0]["uid"], "u1");
        assert_eq!(bodies[0]["metadata"]["labels"], json!({"app.kubernetes.io/managed-by": "keyward"}));
        assert_eq!(bodies[0]["metadata"].get("resourceVersion"), None);
    }

    #[test]
    fn only_labels_and_annotations_that_are_allowed_travel() {
        let akvs = akvs(&json!({"secret": {"name": "one", "dataKey": "k", "type": "x/y"}}));
        let propagation = Propagation {
            labels: vec![keyward_types::Pattern::new("te*")],
            annotations: vec![keyward_types::Pattern::new("note")],
        };
        let desired = desired(&akvs, fetched(), &propagation).remove(0);
        let body = serde_json::to_value(Apply::new(&akvs, &desired, Some("7"))).unwrap();
        assert_eq!(body["metadata"]["labels"], json!({"app.kubernetes.io/managed-by": "keyward", "team": "shop"}));
        assert_eq!(body["metadata"]["annotations"], json!({"note": "x"}));
        assert_eq!((&body["type"], &body["metadata"]["resourceVersion"]), (&json!("x/y"), &json!("7")));
    }

    #[test]
    fn without_output_nothing_is_desired() {
        assert!(desired(&akvs(&Value::Null), fetched(), &Propagation::default()).is_empty());
        assert!(desired(&akvs(&json!({})), fetched(), &Propagation::default()).is_empty());
    }
}
