//! Answers as documents: whole objects or their metadata alone, lists, and refusals. Pure.

use serde_json::{Value, json};

use super::resource::Resource;

/// How much of an object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Whole,
    Metadata,
}

impl Shape {
    /// By the header `Accept`.
    pub(super) fn asked_for(accept: &str) -> Self {
        if accept.contains("as=PartialObjectMetadata") { Self::Metadata } else { Self::Whole }
    }

    pub(super) fn of(self, object: &Value) -> Value {
        match self {
            Self::Whole => object.clone(),
            Self::Metadata => {
                json!({ "apiVersion": META, "kind": "PartialObjectMetadata", "metadata": object["metadata"] })
            }
        }
    }

    /// One page of a list, from the `skip`th object on.
    pub(super) fn list(self, resource: Resource, version: u64, all: &[&Value], skip: usize, limit: usize) -> Value {
        let items: Vec<Value> = all.iter().skip(skip).take(limit).map(|object| self.of(object)).collect();
        let next = (skip + items.len() < all.len()).then(|| (skip + items.len()).to_string());
        let (api_version, kind) = match self {
            Self::Whole => (resource.api_version, format!("{}List", resource.kind)),
            Self::Metadata => (META, "PartialObjectMetadataList".to_owned()),
        };
        json!({
            "apiVersion": api_version, "kind": kind,
            "metadata": { "resourceVersion": version.to_string(), "continue": next.unwrap_or_default() },
            "items": items,
        })
    }

    /// What tells a watch how far it has come.
    pub(super) fn bookmark(self, resource: Resource, version: u64) -> Value {
        self.of(&json!({ "apiVersion": resource.api_version, "kind": resource.kind,
            "metadata": { "resourceVersion": version.to_string() } }))
    }
}

const META: &str = "meta.k8s.io/v1";

/// A refusal, or the end of a watch.
pub(super) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_alone_is_given_to_who_asks_for_no_more() {
        let shape = Shape::asked_for("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
        let secret = json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"a": "b"}});
        let list = shape.list(Resource::CORE_SECRETS, 7, &[&secret, &secret, &secret], 1, 1);
        assert_eq!(list["kind"], "PartialObjectMetadataList");
        assert_eq!(list["metadata"], json!({"resourceVersion": "7", "continue": "2"}));
        let items = list["items"].as_array().unwrap();
        assert!(items.len() == 1 && items[0].get("data").is_none() && items[0]["metadata"]["name"] == "db");
        let whole = Shape::asked_for("application/json").list(Resource::CORE_SECRETS, 7, &[&secret], 0, usize::MAX);
        assert_eq!((whole["kind"].as_str(), &whole["items"][0]), (Some("SecretList"), &secret));
    }
}
