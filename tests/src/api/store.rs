//! The objects, and what happened to them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A kind of object, by the path of its collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// `/apis/GROUP/VERSION` or `/api/v1`
    pub base: &'static str,
    /// Plural.
    pub plural: &'static str,
    /// As objects say.
    pub api_version: &'static str,
    /// As objects say.
    pub kind: &'static str,
}

/// `AzureKeyVaultSecret`s.
pub const SECRETS: Resource = Resource {
    base: "/apis/spv.no/v2beta1",
    plural: "azurekeyvaultsecrets",
    api_version: "spv.no/v2beta1",
    kind: "AzureKeyVaultSecret",
};
/// `AzureKeyVault`s.
pub const VAULTS: Resource = Resource {
    base: "/apis/keyward.dev/v1alpha1",
    plural: "azurekeyvaults",
    api_version: "keyward.dev/v1alpha1",
    kind: "AzureKeyVault",
};

impl Resource {
    /// Namespaces.
    pub const NAMESPACES: Self = Self { base: "/api/v1", plural: "namespaces", api_version: "v1", kind: "Namespace" };
    /// Core Secrets.
    pub const CORE_SECRETS: Self = Self { base: "/api/v1", plural: "secrets", api_version: "v1", kind: "Secret" };
    /// `ConfigMap`s: also applied.
    pub const CONFIG_MAPS: Self = Self { base: "/api/v1", plural: "configmaps", api_version: "v1", kind: "ConfigMap" };
    /// Service accounts.
    pub const SERVICE_ACCOUNTS: Self =
        Self { base: "/api/v1", plural: "serviceaccounts", api_version: "v1", kind: "ServiceAccount" };
    /// All that is read by name.
    pub const NAMED: [Self; 3] = [Self::CORE_SECRETS, Self::CONFIG_MAPS, Self::SERVICE_ACCOUNTS];
    /// All that can be listed.
    pub const LISTED: [Self; 5] = [SECRETS, VAULTS, Self::NAMESPACES, Self::CONFIG_MAPS, Self::CORE_SECRETS];
}

type Key = (Resource, String, String);

/// Everything there is.
#[derive(Default)]
pub(super) struct Store {
    objects: BTreeMap<Key, Value>,
    log: Vec<Event>,
    version: u64,
    /// Nothing before it is remembered.
    oldest: u64,
}

/// Something that happened.
#[derive(Clone)]
pub(super) struct Event {
    version: u64,
    /// `None` for all.
    resource: Option<Resource>,
    kind: &'static str,
    object: Value,
}

impl Event {
    /// As a line of a watch of `resource`.
    fn line(&self, resource: Resource) -> Value {
        let mut object = self.object.clone();
        if self.kind == "BOOKMARK" {
            object = json!({ "apiVersion": resource.api_version, "kind": resource.kind,
                "metadata": { "resourceVersion": self.version.to_string() } });
        }
        json!({ "type": self.kind, "object": shown(resource, object) })
    }
}

impl Store {
    pub(super) fn put(&mut self, resource: Resource, object: Value) {
        let key = key(resource, &object);
        let known = self.objects.get(&key).cloned();
        let object = self.stamped(resource, object, known.as_ref());
        self.note(if known.is_some() { "MODIFIED" } else { "ADDED" }, resource, &object);
        self.objects.insert(key, object);
    }

    /// Merges a patch (RFC 7396) into the status; `None` where there is no such object, `Some(Err)` where it is another
    /// than the patch knows.
    pub(super) fn patch_status(&mut self, resource: Resource, name: &str, patch: &Value) -> Option<Result<Value, ()>> {
        let key = (resource, String::new(), name.to_owned());
        let mut object = self.objects.get(&key)?.clone();
        let known = patch.pointer("/metadata/resourceVersion");
        if known.is_some_and(|known| *known != object["metadata"]["resourceVersion"]) {
            return Some(Err(()));
        }
        let before = object["status"].clone();
        merge(&mut object["status"], &patch["status"]);
        if object["status"] != before {
            self.version += 1;
            object["metadata"]["resourceVersion"] = self.version.to_string().into();
            self.note("MODIFIED", resource, &object);
            self.objects.insert(key, object.clone());
        }
        Some(Ok(object))
    }

    /// Server-side apply, as of somebody who forces it and gives nothing up; `Err` where the object is another than `body`
    /// knows.
    pub(super) fn apply(&mut self, key: (Resource, &str, &str), manager: &str, mut body: Value) -> Result<Value, ()> {
        let (resource, namespace, name) = key;
        let known = self.get(resource, namespace, name);
        let version = body["metadata"].as_object_mut().and_then(|metadata| metadata.remove("resourceVersion"));
        let is_current = |known: &Value| version.is_none_or(|version| known["metadata"]["resourceVersion"] == version);
        if !known.as_ref().is_none_or(is_current) {
            return Err(());
        }
        let mut object = known.clone().unwrap_or_else(|| json!({ "metadata": { "managedFields": [] } }));
        merge(&mut object, &body);
        let fields =
            json!({ "f:data": owned(&body["data"]), "f:metadata": { "f:labels": owned(&body["metadata"]["labels"]) } });
        if let Some(entries) = object["metadata"]["managedFields"].as_array_mut() {
            entries.retain(|entry| entry["manager"] != manager);
            entries.push(json!({ "manager": manager, "operation": "Apply", "fieldsV1": fields }));
        }
        if known.as_ref() != Some(&object) {
            self.put(resource, object);
        }
        self.get(resource, namespace, name).ok_or(())
    }

    pub(super) fn delete(&mut self, resource: Resource, namespace: &str, name: &str) {
        let Some(mut object) = self.objects.remove(&(resource, namespace.to_owned(), name.to_owned())) else { return };
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.note("DELETED", resource, &object);
    }

    pub(super) fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Value> {
        self.objects.get(&(resource, namespace.to_owned(), name.to_owned())).cloned()
    }

    pub(super) fn bookmark(&mut self) {
        self.version += 1;
        self.log.push(Event { version: self.version, resource: None, kind: "BOOKMARK", object: Value::Null });
    }

    /// Forgets what happened.
    pub(super) fn forget(&mut self) {
        self.version += 1;
        self.log.clear();
        self.oldest = self.version;
    }

    /// One page of a list, of a namespace or of all, from the `skip`th object on.
    pub(super) fn page(&self, resource: Resource, namespace: Option<&str>, skip: usize, limit: usize) -> Value {
        let wanted = |within: &String| namespace.is_none_or(|namespace| within == namespace);
        let all = self.objects.iter().filter(|((of, within, _), _)| *of == resource && wanted(within));
        let total = all.clone().count();
        let items: Vec<Value> = all.skip(skip).take(limit).map(|(_, object)| shown(resource, object.clone())).collect();
        let next = (skip + items.len() < total).then(|| (skip + items.len()).to_string());
        let kind = match resource.kind {
            "Namespace" => "PartialObjectMetadataList".to_owned(),
            kind => format!("{kind}List"),
        };
        json!({
            "apiVersion": resource.api_version, "kind": kind,
            "metadata": { "resourceVersion": self.version.to_string(), "continue": next.unwrap_or_default() },
            "items": items,
        })
    }

    /// What happened to `resource` after `version`, in a namespace or in all, as lines, and up to which version that is;
    /// `None` where it is forgotten.
    pub(super) fn after(&self, resource: Resource, namespace: Option<&str>, version: u64) -> Option<(Vec<Value>, u64)> {
        if version < self.oldest {
            return None;
        }
        let events = self.log.iter().filter(|event| event.version > version);
        let wanted = |object: &Value| namespace.is_none_or(|namespace| object["metadata"]["namespace"] == namespace);
        let own = events.filter(|event| event.resource.is_none_or(|of| of == resource && wanted(&event.object)));
        Some((own.map(|event| event.line(resource)).collect(), self.version))
    }

    fn note(&mut self, kind: &'static str, resource: Resource, object: &Value) {
        let event = Event { version: self.version, resource: Some(resource), kind, object: object.clone() };
        self.log.push(event);
    }

    /// With the metadata that the server sets.
    fn stamped(&mut self, resource: Resource, mut object: Value, known: Option<&Value>) -> Value {
        self.version += 1;
        let own = |name: &str| known.map(|known| known["metadata"][name].clone());
        let generation = match known {
            Some(known) if known["spec"] == object["spec"] => known["metadata"]["generation"].clone(),
            Some(known) => (known["metadata"]["generation"].as_i64().unwrap_or_default() + 1).into(),
            None => 1.into(),
        };
        if object.get("status").is_none()
            && let Some(status) = known.and_then(|known| known.get("status"))
        {
            object["status"] = status.clone();
        }
        object["apiVersion"] = resource.api_version.into();
        object["kind"] = resource.kind.into();
        let metadata = &mut object["metadata"];
        if metadata.is_null() {
            *metadata = Value::Object(Map::new());
        }
        metadata["resourceVersion"] = self.version.to_string().into();
        metadata["generation"] = generation;
        let defaults =
            [("uid", format!("uid-{}", self.version)), ("creationTimestamp", "2026-01-01T00:00:00Z".to_owned())];
        for (name, default) in defaults {
            if metadata.get(name).is_none() {
                metadata[name] = own(name).filter(|own| !own.is_null()).unwrap_or_else(|| default.into());
            }
        }
        if metadata.get("managedFields").is_none() {
            metadata["managedFields"] = json!([{ "manager": "test", "fieldsV1": { "f:spec": {} } }]);
        }
        object
    }
}

fn key(resource: Resource, object: &Value) -> Key {
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (resource, text("namespace"), text("name"))
}

/// Of namespaces only the metadata is asked for.
fn shown(resource: Resource, object: Value) -> Value {
    if resource.kind != "Namespace" {
        return object;
    }
    json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"] })
}

/// The members of a map, as `managedFields` name them.
fn owned(map: &Value) -> Value {
    map.as_object().into_iter().flatten().map(|(name, _)| (format!("f:{name}"), json!({}))).collect()
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, value) in members {
        if value.is_null() {
            target.as_object_mut().map(|target| target.remove(name));
        } else {
            merge(&mut target[name], value);
        }
    }
}
