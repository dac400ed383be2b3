//! Deployments, `StatefulSet`s and `DaemonSet`s, all alike.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        core::v1::{ObjectReference, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    jiff::Timestamp,
};
use kube::{
    Resource,
    api::{GetParams, Patch, PatchParams, Request},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{decision::Versions, references::References};
use crate::objects::{CONTROLLER, Call, ObjectError, Objects, unreadable};

/// Asks to be rolled.
pub(super) const ASKS: &str = "keyward.dev/restart-on-change";
/// What the workload was last seen with, as JSON.
const VERSIONS: &str = "keyward.dev/versions";
/// In the template: the same, as a hash, so that the template changes with it.
const VERSIONS_HASH: &str = "keyward.dev/versions-hash";
/// In the template: when it was rolled from here.
const RESTARTED_AT: &str = "keyward.dev/restarted-at";

/// What may be rolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// apps/v1
    Deployment,
    /// apps/v1
    StatefulSet,
    /// apps/v1
    DaemonSet,
}

impl WorkloadKind {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];

    /// As `kind` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
        }
    }

    pub(super) fn watch_name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment watch",
            Self::StatefulSet => "StatefulSet watch",
            Self::DaemonSet => "DaemonSet watch",
        }
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Workload {
    pub(super) kind: WorkloadKind,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// One of them as it was read.
pub(super) struct Loaded {
    metadata: ObjectMeta,
    pub(super) reference: ObjectReference,
    pub(super) references: References,
    pub(super) recorded: Option<Versions>,
    pub(super) restarted: Option<Timestamp>,
}

/// What the three kinds have in common.
pub(super) trait Templated:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static
{
    fn template(&self) -> Option<&PodTemplateSpec>;
}

impl Templated for Deployment {
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }
}

impl Templated for StatefulSet {
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }
}

impl Templated for DaemonSet {
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }
}

/// Whether these annotations ask to be rolled.
pub(super) fn asks(metadata: &ObjectMeta) -> bool {
    annotation(metadata, ASKS) == Some("true")
}

fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

impl Loaded {
    fn of(object: &impl Templated) -> Self {
        let metadata = object.meta().clone();
        let template = object.template();
        let pod = template.and_then(|template| template.spec.as_ref());
        let restarted =
            template.and_then(|template| annotation(template.metadata.as_ref()?, RESTARTED_AT)?.parse().ok());
        // What somebody wrote there that makes no sense counts as nothing recorded: it is written anew and rolls nothing.
        let recorded = annotation(&metadata, VERSIONS).and_then(|text| serde_json::from_str(text).ok());
        Self {
            reference: object.object_ref(&()),
            references: pod.map(References::of).unwrap_or_default(),
            recorded,
            restarted,
            metadata,
        }
    }

    /// Whether it asks to be rolled, and is not on its way out.
    pub(super) fn asks(&self) -> bool {
        asks(&self.metadata) && self.metadata.deletion_timestamp.is_none()
    }
}

impl Workload {
    pub(super) async fn load(&self, objects: &Objects) -> Result<Option<Loaded>, ObjectError> {
        let request = self.path().get(&self.name, &GetParams::default());
        let Some(answer) = objects.read(&Call { about: self, counted: None, request }).await? else { return Ok(None) };
        let loaded = match self.kind {
            WorkloadKind::Deployment => loaded_as::<Deployment>(&answer),
            WorkloadKind::StatefulSet => loaded_as::<StatefulSet>(&answer),
            WorkloadKind::DaemonSet => loaded_as::<DaemonSet>(&answer),
        };
        loaded.map(Some).map_err(|error| unreadable(self, &error))
    }

    /// Notes what it uses. Its pods are left alone.
    pub(super) async fn record(
        &self,
        objects: &Objects,
        loaded: &Loaded,
        versions: &Versions,
    ) -> Result<(), ObjectError> {
        self.patch(objects, &body(loaded, versions)).await
    }

    /// Notes what it uses, and has its pods made anew.
    pub(super) async fn roll(
        &self,
        objects: &Objects,
        loaded: &Loaded,
        versions: &Versions,
        now: Timestamp,
    ) -> Result<(), ObjectError> {
        let mut body = body(loaded, versions);
        let annotations = BTreeMap::from([(VERSIONS_HASH, hash(versions)), (RESTARTED_AT, whole_seconds(now))]);
        body["spec"] = json!({"template": {"metadata": {"annotations": annotations}}});
        self.patch(objects, &body).await
    }

    async fn patch(&self, objects: &Objects, body: &Value) -> Result<(), ObjectError> {
        let params = PatchParams { field_manager: Some(CONTROLLER.to_owned()), ..PatchParams::default() };
        let request = self.path().patch(&self.name, &params, &Patch::Merge(body));
        let counted = Some((self.kind.as_str(), "merge"));
        objects.send(&Call { about: self, counted, request }).await.map(drop)
    }

    fn path(&self) -> Request {
        Request::new(format!("/apis/apps/v1/namespaces/{}/{}", self.namespace, self.kind.plural()))
    }
}

fn loaded_as<K: Templated>(answer: &[u8]) -> Result<Loaded, serde_json::Error> {
    serde_json::from_slice::<K>(answer).map(|object| Loaded::of(&object))
}

fn body(loaded: &Loaded, versions: &Versions) -> Value {
    let annotations = BTreeMap::from([(VERSIONS, json!(versions).to_string())]);
    // What was changed since it was read is looked at first.
    json!({"metadata": {"resourceVersion": loaded.metadata.resource_version, "annotations": annotations}})
}

fn whole_seconds(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// Short: it only has to differ.
fn hash(versions: &Versions) -> String {
    let digest = Sha256::digest(json!(versions).to_string());
    digest.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(annotations: &Value, in_template: &Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
            "spec": {"selector": {}, "template": {"metadata": {"annotations": in_template}, "spec": {"containers": []}}},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_recorded_is_read_and_nonsense_is_nothing() {
        let loaded = |versions: &str, restarted: &str| {
            let annotations = json!({ASKS: "true", VERSIONS: versions});
            Loaded::of(&deployment(&annotations, &json!({RESTARTED_AT: restarted})))
        };
        let good = loaded(r#"{"db":"1"}"#, "2026-01-02T03:04:05Z");
        assert_eq!(good.recorded, Some(Versions::from([("db".into(), "1".into())])));
        assert_eq!(good.restarted.unwrap().to_string(), "2026-01-02T03:04:05Z");
        assert!(good.asks());
        let bad = loaded("[]", "soon");
        assert!(bad.recorded.is_none() && bad.restarted.is_none());
        let other = Loaded::of(&deployment(&json!({ASKS: "yes"}), &json!({})));
        assert!(!other.asks());
    }

    #[test]
    fn hashes_differ_with_versions() {
        let one = hash(&Versions::from([("db".into(), "1".into())]));
        assert_eq!(one.len(), 16);
        assert_ne!(one, hash(&Versions::from([("db".into(), "2".into())])));
    }
}
