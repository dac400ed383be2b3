//! Reviews by script.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

/// What a review says of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenStatus {
    /// Whether it is good.
    pub authenticated: bool,
    /// The audiences that are said to be compatible; `None` where the server does not look at audiences.
    pub audiences: Option<Vec<String>>,
    /// Whose it is.
    pub user: String,
    /// Its UID.
    pub uid: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// What else is known.
    pub extra: BTreeMap<String, Vec<String>>,
    /// What is wrong.
    pub error: Option<String>,
}

impl TokenStatus {
    /// As of a pod's projected token of audience `keyward-broker`.
    pub fn of_pod(namespace: &str, service_account: &str, pod: &str, pod_uid: &str) -> Self {
        let extra = [("pod-name", pod), ("pod-uid", pod_uid)];
        let extra = extra.map(|(key, value)| (format!("authentication.kubernetes.io/{key}"), vec![value.to_owned()]));
        Self { extra: extra.into(), ..Self::of_service_account(namespace, service_account) }
    }

    /// As of a token that `kubectl create token --audience keyward-broker` made.
    pub fn of_service_account(namespace: &str, name: &str) -> Self {
        Self {
            authenticated: true,
            audiences: Some(vec!["keyward-broker".to_owned()]),
            user: format!("system:serviceaccount:{namespace}:{name}"),
            uid: format!("uid-of-{name}"),
            groups: vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()],
            ..Self::default()
        }
    }

    /// As of a token that is not good any more.
    pub fn refused(error: &str) -> Self {
        Self { error: Some(error.to_owned()), ..Self::default() }
    }

    fn shown(&self) -> Value {
        if !self.authenticated {
            return json!({ "user": {}, "error": self.error });
        }
        let Self { audiences, user, uid, groups, extra, error, .. } = self;
        json!({
            "authenticated": true, "audiences": audiences, "error": error,
            "user": { "username": user, "uid": uid, "groups": groups, "extra": extra },
        })
    }
}

/// A review of access as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessReview {
    /// `spec`
    pub spec: Value,
}

#[derive(Default)]
pub(super) struct Reviews {
    pub(super) tokens: HashMap<String, TokenStatus>,
    pub(super) allowed: BTreeSet<(String, String)>,
    pub(super) asked_tokens: usize,
    pub(super) asked_access: Vec<AccessReview>,
}

impl Reviews {
    /// As a real one, it gives the request back with the status in it.
    pub(super) fn token(&mut self, mut review: Value) -> Value {
        self.asked_tokens += 1;
        let asked_for_ours = review["spec"]["audiences"] == json!(["keyward-broker"]);
        let token = review["spec"]["token"].as_str().unwrap_or_default();
        let known = self.tokens.get(token).filter(|_| asked_for_ours).cloned();
        review["status"] = known.unwrap_or_else(|| TokenStatus::refused("invalid bearer token")).shown();
        review
    }

    pub(super) fn access(&mut self, mut review: Value) -> Value {
        let spec = review["spec"].clone();
        let attributes = &spec["resourceAttributes"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ours = attributes["group"] == "keyward.dev" && attributes["resource"] == "caches";
        let allowed = ours && self.allowed.contains(&(text(&spec["user"]), text(&attributes["verb"])));
        review["status"] = json!({ "allowed": allowed });
        self.asked_access.push(AccessReview { spec });
        review
    }
}
