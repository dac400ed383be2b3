//! The objects, and what happened to them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{patch, resource::Resource, selector::Selector};

/// Kind, namespace and name.
pub(super) type Key = (Resource, String, String);

/// Why a write is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such object.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// It is another than the writer knows.
    Conflict,
    /// The patch does not fit.
    Invalid,
}

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
struct Event {
    version: u64,
    /// `None` for a bookmark.
    resource: Option<Resource>,
    before: Option<Value>,
    after: Option<Value>,
}

/// A line of a watch.
pub(super) enum Line {
    /// So far nothing is missed.
    Bookmark(u64),
    /// `ADDED`, `MODIFIED` or `DELETED`, and the object.
    Object(&'static str, Value),
}

impl Event {
    /// What a watch of `selector` is told of it.
    fn line(&self, resource: Resource, selector: &Selector) -> Option<Line> {
        if self.resource.is_none() {
            return Some(Line::Bookmark(self.version));
        }
        let is_one = |object: &Option<Value>| object.as_ref().is_some_and(|object| selector.matches(object));
        let kind = match (is_one(&self.before), is_one(&self.after)) {
            _ if self.resource != Some(resource) => return None,
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        let mut object = self.after.clone().or_else(|| self.before.clone())?;
        // Also the last of an object carries the version of its end.
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        Some(Line::Object(kind, object))
    }
}

impl Store {
    /// Whatever is there already is replaced.
    pub(super) fn put(&mut self, resource: Resource, object: Value) {
        self.keep(key(resource, &object), object);
    }

    /// Makes one that must not exist. Where it is nameless, its name is `generateName` and a number.
    pub(super) fn create(&mut self, key: Key, manager: &str, mut object: Value) -> Result<Value, Refusal> {
        let (resource, namespace, mut name) = key;
        if name.is_empty() {
            let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default();
            name = format!("{prefix}{}", self.version + 1);
        }
        let key = (resource, namespace, name);
        if self.objects.contains_key(&key) {
            return Err(Refusal::AlreadyExists);
        }
        let fields = patch::owned(&object);
        object["metadata"]["managedFields"] =
            json!([{ "manager": manager, "operation": "Update", "fieldsV1": fields }]);
        Ok(self.keep(key, object))
    }

    /// Replaces one that must exist, and be as the writer knows it.
    pub(super) fn replace(&mut self, key: Key, object: Value) -> Result<Value, Refusal> {
        self.known(&key, &object["metadata"])?;
        Ok(self.keep(key, object))
    }

    /// Merges a patch (RFC 7396).
    pub(super) fn merge(&mut self, key: Key, body: &Value) -> Result<Value, Refusal> {
        let mut object = self.known(&key, &body["metadata"])?.clone();
        patch::merge(&mut object, body);
        Ok(self.keep(key, object))
    }

    /// The same for its status alone.
    pub(super) fn merge_status(&mut self, key: Key, body: &Value) -> Result<Value, Refusal> {
        let mut object = self.known(&key, &body["metadata"])?.clone();
        patch::merge(&mut object["status"], &body["status"]);
        Ok(self.keep(key, object))
    }

    /// Applies a JSON patch (RFC 6902).
    pub(super) fn edit(&mut self, key: Key, body: &Value) -> Result<Value, Refusal> {
        let mut object = self.objects.get(&key).ok_or(Refusal::NotFound)?.clone();
        let patch: json_patch::Patch = serde_json::from_value(body.clone()).map_err(|_| Refusal::Invalid)?;
        json_patch::patch(&mut object, &patch).map_err(|_| Refusal::Invalid)?;
        Ok(self.keep(key, object))
    }

    /// Server-side apply, as of somebody who forces it.
    pub(super) fn apply(&mut self, key: Key, manager: &str, mut body: Value) -> Result<Value, Refusal> {
        let mut object = match self.known(&key, &body["metadata"]) {
            Ok(known) => known.clone(),
            Err(Refusal::NotFound) if body["metadata"]["uid"].is_null() => json!({ "metadata": {} }),
            Err(Refusal::NotFound) => return Err(Refusal::Conflict),
            Err(refusal) => return Err(refusal),
        };
        body["metadata"].as_object_mut().map(|metadata| metadata.remove("resourceVersion"));
        patch::apply(&mut object, manager, &body);
        Ok(self.keep(key, object))
    }

    /// Deletes one, which must be as `preconditions` say: members of its metadata.
    pub(super) fn delete(&mut self, key: &Key, preconditions: &Value) -> Result<Value, Refusal> {
        self.known(key, preconditions)?;
        let object = self.objects.remove(key).ok_or(Refusal::NotFound)?;
        self.version += 1;
        self.note(key.0, Some(object.clone()), None);
        Ok(object)
    }

    /// The object that is there, if it is the one that `metadata` names.
    fn known(&self, key: &Key, metadata: &Value) -> Result<&Value, Refusal> {
        let known = self.objects.get(key).ok_or(Refusal::NotFound)?;
        let differs = |name: &str| !metadata[name].is_null() && metadata[name] != known["metadata"][name];
        if ["resourceVersion", "uid"].into_iter().any(differs) { Err(Refusal::Conflict) } else { Ok(known) }
    }

    pub(super) fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Value> {
        self.objects.get(&(resource, namespace.to_owned(), name.to_owned())).cloned()
    }

    pub(super) fn bookmark(&mut self) {
        self.version += 1;
        self.log.push(Event { version: self.version, resource: None, before: None, after: None });
    }

    /// Forgets what happened.
    pub(super) fn forget(&mut self) {
        self.version += 1;
        self.log.clear();
        self.oldest = self.version;
    }

    /// What holds now.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// All of a kind that `selector` means, by name.
    pub(super) fn all(&self, resource: Resource, selector: &Selector) -> Vec<&Value> {
        let own = self.objects.iter().filter(|((of, ..), _)| *of == resource).map(|(_, object)| object);
        own.filter(|object| selector.matches(object)).collect()
    }

    /// What happened to `resource` after `version`, and up to which version that is; `None` where it is forgotten.
    pub(super) fn after(&self, resource: Resource, selector: &Selector, version: u64) -> Option<(Vec<Line>, u64)> {
        if version < self.oldest {
            return None;
        }
        let first = self.log.partition_point(|event| event.version <= version);
        let lines = self.log[first..].iter().filter_map(|event| event.line(resource, selector));
        Some((lines.collect(), self.version))
    }

    /// Keeps it with the metadata that the server sets. One that differs in nothing stays as it is.
    fn keep(&mut self, key: Key, mut object: Value) -> Value {
        let known = self.objects.get(&key).cloned();
        let metadata = &mut object["metadata"];
        if metadata.is_null() {
            *metadata = Value::Object(Map::new());
        }
        metadata["name"] = key.2.clone().into();
        if !key.1.is_empty() {
            metadata["namespace"] = key.1.clone().into();
        }
        self.stamp(key.0, &mut object, known.as_ref());
        if known.as_ref() == Some(&object) {
            return object;
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.note(key.0, known, Some(object.clone()));
        self.objects.insert(key, object.clone());
        object
    }

    fn stamp(&self, resource: Resource, object: &mut Value, known: Option<&Value>) {
        let own = |name: &str| known.map(|known| known["metadata"][name].clone());
        let generation = match known {
            Some(known) if known["spec"] == object["spec"] => known["metadata"]["generation"].clone(),
            Some(known) => (known["metadata"]["generation"].as_i64().unwrap_or_default() + 1).into(),
            None => 1.into(),
        };
        if let Some(status) = known.and_then(|known| known.get("status"))
            && object.get("status").is_none()
        {
            object["status"] = status.clone();
        }
        object["apiVersion"] = resource.api_version.into();
        object["kind"] = resource.kind.into();
        let metadata = &mut object["metadata"];
        metadata["generation"] = generation;
        metadata["resourceVersion"] = own("resourceVersion").unwrap_or_default();
        let fields = json!([{ "manager": "test", "fieldsV1": { "f:spec": {} } }]);
        for (name, default) in [
            ("uid", format!("uid-{}", self.version + 1).into()),
            ("creationTimestamp", "2026-01-01T00:00:00Z".into()),
            ("managedFields", fields),
        ] {
            if metadata[name].is_null() {
                metadata[name] = own(name).filter(|own| !own.is_null()).unwrap_or(default);
            }
        }
    }

    fn note(&mut self, resource: Resource, before: Option<Value>, after: Option<Value>) {
        self.log.push(Event { version: self.version, resource: Some(resource), before, after });
    }
}

/// Where an object is kept.
pub(super) fn key(resource: Resource, object: &Value) -> Key {
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (resource, text("namespace"), text("name"))
}

#[cfg(test)]
mod tests;
