//! Spec and data to the objects there should be. Pure.

use std::collections::BTreeMap;

use keyward_types::SecretBytes;

use crate::{
    akvs::Akvs,
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::manifest::Manifest;

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
        let bodies: Vec<Value> = desired
            .iter()
            .map(|desired| serde_json::to_value(Manifest::applied(&akvs, desired, None)).unwrap())
            .collect();
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
        let body = serde_json::to_value(Manifest::applied(&akvs, &desired, Some("7"))).unwrap();
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
