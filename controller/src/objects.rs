//! Reading and writing Secrets and `ConfigMap`s, and whatever else may hold a value.
//!
//! Not by kube's typed calls: where an answer does not parse, those log all of it, values included.

use std::{fmt::Display, sync::Arc};

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::{
    Client,
    api::{DeleteParams, GetParams, Patch, PatchParams, PostParams, Preconditions, Request as Path},
    client::Body,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::{fields, metrics::Metrics, plan::Observed, target::Target};

/// Above the largest object that etcd takes, with the base64 of its values.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Who writes what is not applied on behalf of one `AzureKeyVaultSecret`.
pub const CONTROLLER: &str = "keyward-controller";

/// Why an object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Somebody else changed it meanwhile, or holds a field of it.
    #[error("{target}: {message}")]
    Conflict {
        /// Kind, namespace and name.
        target: String,
        /// The API server's words.
        message: String,
    },
    /// It does not exist, or does not any more.
    #[error("{target} does not exist")]
    Missing {
        /// Kind, namespace and name.
        target: String,
    },
    /// The API server refuses it, and would again.
    #[error("the API server refuses {target} ({code}): {message}")]
    Refused {
        /// Kind, namespace and name.
        target: String,
        /// The HTTP status.
        code: u16,
        /// The API server's words.
        message: String,
    },
    /// The API server does not answer, or not now.
    #[error("the API server cannot be asked about {target}: {message}")]
    Unavailable {
        /// Kind, namespace and name.
        target: String,
        /// Why.
        message: String,
    },
}

/// An object after it was written.
#[derive(Debug, Default)]
pub struct Written {
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.resourceVersion`
    pub resource_version: String,
    /// Its field managers and what they own.
    pub managed_fields: Vec<ManagedFieldsEntry>,
}

/// Reads and writes. Cloning shares the client.
#[derive(Clone)]
pub struct Objects {
    client: Client,
    metrics: Arc<Metrics>,
}

/// A request, what it is about, and how it is counted: reads are not.
pub(crate) struct Call<'a> {
    /// Kind, namespace and name.
    pub(crate) about: &'a (dyn Display + Sync),
    /// The kind, and what is done to it.
    pub(crate) counted: Option<(&'static str, &'static str)>,
    /// The request.
    pub(crate) request: Result<Request<Vec<u8>>, kube::core::request::Error>,
}

impl Objects {
    /// By this client; writes are counted.
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self { client, metrics }
    }

    /// The object, if it exists.
    pub async fn get(&self, target: &Target) -> Result<Option<Observed>, ObjectError> {
        let request = path(target).get(&target.name, &GetParams::default());
        let Some(answer) = self.read(&Call { about: target, counted: None, request }).await? else { return Ok(None) };
        Observed::read(target.kind, &answer).map(Some).map_err(|error| unreadable(target, &error))
    }

    /// Server-side apply of `body` on behalf of `manager`.
    pub async fn apply(
        &self,
        target: &Target,
        manager: &str,
        force: bool,
        body: &impl Serialize,
    ) -> Result<Written, ObjectError> {
        let params = PatchParams { force, field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.written(target, "apply", path(target).patch(&target.name, &params, &Patch::Apply(body))).await
    }

    /// Makes an object that must not exist.
    pub async fn create(&self, target: &Target, manager: &str, body: &impl Serialize) -> Result<Written, ObjectError> {
        let unreadable = |error| unreadable(target, &error);
        let body = serde_json::to_vec(body).map_err(unreadable)?;
        let params = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
        self.written(target, "create", path(target).create(&params, body)).await
    }

    /// Replaces an object as a whole. `body` holds the revision that was looked at: anything newer is left as it is.
    pub async fn replace(&self, target: &Target, manager: &str, body: &impl Serialize) -> Result<Written, ObjectError> {
        let body = serde_json::to_vec(body).map_err(|error| unreadable(target, &error))?;
        let params = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
        self.written(target, "replace", path(target).replace(&target.name, &params, body)).await
    }

    /// Takes everything that `manager` owns out of the object that was looked at, but its type where that is to stay: the
    /// API lets nobody take a type out.
    pub async fn give_up(
        &self,
        target: &Target,
        uid: &str,
        manager: &str,
        secret_type: Option<&str>,
    ) -> Result<Written, ObjectError> {
        let Target { kind, namespace, name } = target;
        // The UID keeps the apply from making an object that has gone meanwhile.
        let metadata = serde_json::json!({"namespace": namespace, "name": name, "uid": uid});
        let mut body = serde_json::json!({"apiVersion": "v1", "kind": kind.as_str(), "metadata": metadata});
        if let Some(secret_type) = secret_type {
            body["type"] = secret_type.into();
        }
        self.apply(target, manager, false, &body).await
    }

    /// A JSON merge patch. It is the controller's own doing and no `AzureKeyVaultSecret`'s.
    pub async fn merge(&self, target: &Target, body: &impl Serialize) -> Result<Written, ObjectError> {
        let params = PatchParams { field_manager: Some(CONTROLLER.to_owned()), ..PatchParams::default() };
        self.written(target, "merge", path(target).patch(&target.name, &params, &Patch::Merge(body))).await
    }

    /// Deletes the object if it is still the one that was looked at.
    pub async fn delete(&self, target: &Target, uid: &str, resource_version: &str) -> Result<(), ObjectError> {
        let preconditions =
            Preconditions { uid: Some(uid.to_owned()), resource_version: Some(resource_version.to_owned()) };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let counted = Some((target.kind.as_str(), "delete"));
        self.read(&Call { about: target, counted, request: path(target).delete(&target.name, &params) }).await.map(drop)
    }

    async fn written(
        &self,
        target: &Target,
        verb: &'static str,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Written, ObjectError> {
        #[derive(Deserialize)]
        struct Answer {
            metadata: ObjectMeta,
            #[serde(rename = "data")]
            _data: Option<IgnoredAny>,
        }
        let answer = self.send(&Call { about: target, counted: Some((target.kind.as_str(), verb)), request }).await?;
        let Answer { metadata, .. } = serde_json::from_slice(&answer).map_err(|error| unreadable(target, &error))?;
        Ok(Written {
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            managed_fields: metadata.managed_fields.unwrap_or_default(),
        })
    }

    /// The answer, or `None` where there is no such object.
    pub(crate) async fn read(&self, call: &Call<'_>) -> Result<Option<Vec<u8>>, ObjectError> {
        match self.send(call).await {
            Ok(answer) => Ok(Some(answer)),
            Err(ObjectError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The answer.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Vec<u8>, ObjectError> {
        let Call { about, counted, request } = call;
        let unavailable = |message: String| ObjectError::Unavailable { target: about.to_string(), message };
        let request = request.as_ref().map_err(|error| unavailable(error.to_string()))?.clone();
        let answer = self.client.send(request.map(Body::from)).await.map_err(|error| unavailable(error.to_string()))?;
        let code = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| unavailable(error.to_string()))?.to_bytes();
        if !code.is_success() {
            return Err(refusal(*about, code, &body));
        }
        if let Some((kind, verb)) = counted {
            self.metrics.wrote(kind, verb);
        }
        Ok(body.into())
    }
}

impl Written {
    /// Whether somebody besides `manager` has a part in it.
    pub fn is_shared(&self, manager: &str) -> bool {
        self.others(manager).next().is_some()
    }

    /// Whether another `AzureKeyVaultSecret` than `manager`'s has.
    pub fn is_shared_with_ours(&self, manager: &str) -> bool {
        self.others(manager).any(|other| fields::uid_of(other).is_some())
    }

    fn others<'a>(&'a self, manager: &'a str) -> impl Iterator<Item = &'a str> {
        self.managed_fields.iter().filter_map(|entry| entry.manager.as_deref()).filter(move |other| *other != manager)
    }
}

fn path(target: &Target) -> Path {
    Path::new(format!("/api/v1/namespaces/{}/{}", target.namespace, target.kind.plural()))
}

/// For an answer that makes no sense.
pub(crate) fn unreadable(about: &dyn Display, error: &serde_json::Error) -> ObjectError {
    // Position only: the words of the parser may quote.
    let message = format!("its answer makes no sense at line {}, column {}", error.line(), error.column());
    ObjectError::Unavailable { target: about.to_string(), message }
}

fn refusal(about: &dyn Display, code: StatusCode, body: &[u8]) -> ObjectError {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    let message =
        serde_json::from_slice(body).map_or_else(|_| "it gives no reason".to_owned(), |Said { message }| message);
    let target = about.to_string();
    match code {
        StatusCode::NOT_FOUND => ObjectError::Missing { target },
        StatusCode::CONFLICT => ObjectError::Conflict { target, message },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => ObjectError::Unavailable { target, message },
        code if code.is_server_error() => ObjectError::Unavailable { target, message },
        code => ObjectError::Refused { target, code: code.as_u16(), message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::TargetKind;

    fn target() -> Target {
        Target { kind: TargetKind::Secret, namespace: "shop".into(), name: "db".into() }
    }

    #[test]
    fn a_refusal_is_sorted_by_what_can_be_done() {
        let of = |code: u16, body: &str| refusal(&target(), StatusCode::from_u16(code).unwrap(), body.as_bytes());
        assert!(matches!(of(404, "{}"), ObjectError::Missing { .. }));
        assert!(matches!(of(409, r#"{"message":"conflict"}"#), ObjectError::Conflict { .. }));
        assert!(matches!(of(429, "{}"), ObjectError::Unavailable { .. }));
        assert!(matches!(of(503, "no JSON"), ObjectError::Unavailable { .. }));
        let refused = of(422, r#"{"message":"type: field is immutable"}"#).to_string();
        assert_eq!(refused, "the API server refuses Secret shop/db (422): type: field is immutable");
    }
}
