//! An `AdmissionReview` as it travels ([Kubernetes: dynamic admission control][1]): what is asked, and what is answered.
//!
//! Only the parts that decide are read. The answer is written here and not by kube, whose patch is an array of numbers: four
//! times as long, and understood by Go alone.
//!
//! [1]: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/

use base64::{Engine as _, engine::general_purpose::STANDARD};
use json_patch::Patch;
use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize};

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// What the API server asks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Comes back in the answer.
    pub uid: String,
    /// Of the pod. Its own metadata may not name it yet.
    #[serde(default)]
    pub namespace: String,
    /// `CREATE`, or what a configuration that is not ours sends.
    pub operation: String,
    /// `ephemeralcontainers`, `status` and the like; absent for the pod itself.
    #[serde(default)]
    pub sub_resource: Option<String>,
    /// Of what is reviewed.
    pub resource: Resource,
    /// The pod.
    #[serde(default)]
    pub object: Option<Pod>,
}

/// Group and plural of a kind.
#[derive(Debug, Deserialize)]
pub struct Resource {
    /// Empty for the core group.
    #[serde(default)]
    pub group: String,
    /// `pods`.
    pub resource: String,
}

/// Why a body cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum InvalidReview {
    /// Not JSON, or not of this shape. What stood there is not quoted: it may be a pod's own secret.
    #[error("the body is no AdmissionReview of a pod: {} at line {}, column {}", category(.0), .0.line(), .0.column())]
    Json(#[source] serde_json::Error),
    /// Another kind or version.
    #[error("the body is {api_version} {kind}; this webhook answers {API_VERSION} {KIND} alone")]
    Kind {
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
    },
    /// An answer, or nothing.
    #[error("the AdmissionReview holds no request")]
    NoRequest,
}

fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Io => "it cannot be read",
        serde_json::error::Category::Syntax => "it is no JSON",
        serde_json::error::Category::Data => "a field has another type than it must have",
        serde_json::error::Category::Eof => "it ends too early",
    }
}

/// Reads a body.
pub fn parse(body: &[u8]) -> Result<Request, InvalidReview> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Review {
        api_version: String,
        kind: String,
        request: Option<Request>,
    }
    let review: Review = serde_json::from_slice(body).map_err(InvalidReview::Json)?;
    if review.api_version != API_VERSION || review.kind != KIND {
        let bounded = |text: String| text.chars().take(64).flat_map(char::escape_debug).collect();
        return Err(InvalidReview::Kind { api_version: bounded(review.api_version), kind: bounded(review.kind) });
    }
    review.request.ok_or(InvalidReview::NoRequest)
}

/// What becomes of the pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is created, changed by `patch` where that is not empty.
    Allowed {
        /// What is changed.
        patch: Patch,
        /// For who creates it. The API server shows about 120 characters of each, and 4 KiB in all.
        warnings: Vec<String>,
    },
    /// It is not.
    Denied {
        /// An HTTP status: 403 where the pod is at fault, 500 where something else is.
        code: u16,
        /// For who creates it: what is wrong, where, and what to do.
        message: String,
    },
}

/// The answer to the request of that `uid`, as it is sent.
pub fn render(uid: &str, answer: &Answer) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Review<'a> {
        api_version: &'static str,
        kind: &'static str,
        response: Response<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Response<'a> {
        uid: &'a str,
        allowed: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<Status<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        patch_type: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        patch: Option<String>,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        warnings: &'a [String],
    }
    #[derive(Serialize)]
    struct Status<'a> {
        code: u16,
        message: &'a str,
    }
    let response = match answer {
        Answer::Allowed { patch, warnings } => {
            let encoded = if patch.0.is_empty() { None } else { Some(STANDARD.encode(serde_json::to_vec(patch)?)) };
            let patch_type = encoded.as_ref().map(|_| "JSONPatch");
            Response { uid, allowed: true, status: None, patch_type, patch: encoded, warnings }
        }
        Answer::Denied { code, message } => {
            let status = Some(Status { code: *code, message });
            Response { uid, allowed: false, status, patch_type: None, patch: None, warnings: &[] }
        }
    };
    serde_json::to_vec(&Review { api_version: API_VERSION, kind: KIND, response })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn review() -> Value {
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "u1",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "namespace": "shop",
                "operation": "CREATE",
                "userInfo": {"username": "someone"},
                "object": {"metadata": {"generateName": "app-"}, "spec": {"containers": [{"name": "app"}], "new": {"field": 1}}},
                "oldObject": null,
                "dryRun": true,
            },
        })
    }

    fn parsed(review: &Value) -> Result<Request, InvalidReview> {
        parse(review.to_string().as_bytes())
    }

    fn rendered(answer: &Answer) -> Value {
        serde_json::from_slice(&render("u1", answer).unwrap()).unwrap()
    }

    #[test]
    fn a_review_is_read_and_fields_that_are_not_known_are_passed_over() {
        let request = parsed(&review()).unwrap();
        assert_eq!((request.uid.as_str(), request.namespace.as_str()), ("u1", "shop"));
        assert_eq!(request.resource.resource, "pods");
        assert_eq!(request.object.unwrap().spec.unwrap().containers[0].name, "app");
    }

    #[test]
    fn what_is_no_review_is_refused_and_not_quoted() {
        let beta = json!({"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": null});
        let answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "u1"}});
        let mut odd = review();
        odd["request"]["object"]["spec"]["containers"][0]["env"] = json!("kwcanary");
        for (body, expected) in [
            (String::new(), "ends too early"),
            ("{".to_owned(), "ends too early"),
            ("[1]".to_owned(), "another type"),
            ("kwcanary".to_owned(), "no JSON"),
            (
                beta.to_string(),
                "v1beta1 AdmissionReview; this webhook answers admission.k8s.io/v1 AdmissionReview alone",
            ),
            (answer.to_string(), "holds no request"),
            (odd.to_string(), "another type"),
        ] {
            let error = parse(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("kwcanary"), "{body}: {error}");
        }
    }

    #[test]
    fn an_answer_without_changes_carries_no_patch() {
        let answer = Answer::Allowed { patch: Patch(Vec::new()), warnings: Vec::new() };
        assert_eq!(rendered(&answer)["response"], json!({"uid": "u1", "allowed": true}));
    }

    #[test]
    fn a_patch_travels_in_base64_and_warnings_beside_it() {
        let operations = json!([{"op": "add", "path": "/spec/x", "value": 1}]);
        let patch: Patch = serde_json::from_value(operations.clone()).unwrap();
        let rendered = rendered(&Answer::Allowed { patch, warnings: vec!["look".to_owned()] });
        let response = &rendered["response"];
        assert_eq!((&response["patchType"], &response["warnings"]), (&json!("JSONPatch"), &json!(["look"])));
        let decoded = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&decoded).unwrap(), operations);
    }

    #[test]
    fn a_denial_says_why() {
        let rendered = rendered(&Answer::Denied { code: 403, message: "no".to_owned() });
        let expected = json!({"uid": "u1", "allowed": false, "status": {"code": 403, "message": "no"}});
        assert_eq!(rendered["response"], expected);
        assert_eq!((&rendered["apiVersion"], &rendered["kind"]), (&json!(API_VERSION), &json!(KIND)));
    }
}
