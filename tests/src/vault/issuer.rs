//! The cluster's token issuer: OIDC discovery, the key set, and projected-style service account tokens.

use std::sync::{Arc, OnceLock};

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::clock::system_now;
use super::forge::TokenForge;
use super::jwt::{SignError, SigningKey};

/// The audience of a token for which none is named.
pub const DEFAULT_AUDIENCE: &str = "keyward-broker";

/// What a projected token says, as the kubelet would ask for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProjectedToken {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's service account.
    pub service_account: String,
    /// The pod; absent, the token is bound to none.
    #[serde(default)]
    pub pod: Option<String>,
    /// The pod's UID; absent, made from its name.
    #[serde(default)]
    pub pod_uid: Option<String>,
    /// The pod's node.
    #[serde(default)]
    pub node: Option<String>,
    /// Whom the token is for: one name or several.
    #[serde(default = "default_audiences", alias = "audience", deserialize_with = "one_or_many")]
    pub audiences: Vec<String>,
    /// How long it holds.
    #[serde(default = "an_hour")]
    pub expiration_seconds: i64,
}

impl ProjectedToken {
    /// A token for a pod, for [`DEFAULT_AUDIENCE`], on node `node-1`, for an hour.
    pub fn for_pod(namespace: &str, service_account: &str, pod: &str) -> Self {
        Self { pod: Some(pod.to_owned()), node: Some("node-1".to_owned()), ..Self::unbound(namespace, service_account) }
    }

    /// A token that is bound to no pod.
    pub fn unbound(namespace: &str, service_account: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            pod: None,
            pod_uid: None,
            node: None,
            audiences: default_audiences(),
            expiration_seconds: an_hour(),
        }
    }

    /// For another audience.
    #[must_use]
    pub fn audience(mut self, audience: &str) -> Self {
        self.audiences = vec![audience.to_owned()];
        self
    }

    /// The claims, as kube-apiserver writes them.
    pub(super) fn claims(&self, issuer: &str) -> Value {
        let now = system_now();
        let mut kubernetes = json!({
            "namespace": self.namespace,
            "serviceaccount": {
                "name": self.service_account,
                "uid": uid(&["serviceaccount", &self.namespace, &self.service_account]),
            },
        });
        if let Some(pod) = &self.pod {
            let pod_uid = self.pod_uid.clone().unwrap_or_else(|| uid(&["pod", &self.namespace, pod]));
            kubernetes["pod"] = json!({"name": pod, "uid": pod_uid});
        }
        if let Some(node) = &self.node {
            kubernetes["node"] = json!({"name": node, "uid": uid(&["node", node])});
        }
        json!({
            "iss": issuer,
            "sub": format!("system:serviceaccount:{}:{}", self.namespace, self.service_account),
            "aud": self.audiences,
            "iat": now,
            "nbf": now,
            "exp": now.saturating_add(self.expiration_seconds),
            "jti": uuid::Uuid::new_v4().to_string(),
            "kubernetes.io": kubernetes,
        })
    }
}

/// The issuer at its URL.
pub(super) struct Issuer {
    key: Arc<SigningKey>,
    url: String,
}

impl Issuer {
    /// An issuer with the process's key. Blocks for a moment the first time.
    pub(super) fn new(url: String) -> Result<Self, SignError> {
        Ok(Self { key: process_key()?, url })
    }

    /// `/.well-known/openid-configuration`
    pub(super) fn configuration(&self) -> Value {
        json!({
            "issuer": self.url,
            "jwks_uri": self.jwks_url(),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.key.algorithm()],
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn jwks_url(&self) -> String {
        format!("{}/openid/v1/jwks", self.url)
    }

    pub(super) fn jwks(&self) -> Value {
        self.key.jwks()
    }

    /// Issues an honest token.
    pub(super) fn issue(&self, token: &ProjectedToken) -> Result<String, SignError> {
        self.key.sign(&token.claims(&self.url))
    }

    /// The claims of a token this issuer signed, for whoever trusts it (Entra's federation).
    pub(super) fn verify(&self, token: &str) -> Option<Value> {
        self.key.verify(token).ok().filter(|claims| claims["iss"] == self.url)
    }

    pub(super) fn forge(&self) -> TokenForge {
        TokenForge::new(self.key.clone(), self.url.clone())
    }
}

/// One RSA key for all emulators of a process: making one takes a moment, and test suites start many. Their tokens
/// still differ in `iss`.
fn process_key() -> Result<Arc<SigningKey>, SignError> {
    static KEY: OnceLock<Arc<SigningKey>> = OnceLock::new();
    if let Some(key) = KEY.get() {
        return Ok(key.clone());
    }
    let made = Arc::new(SigningKey::rs256()?);
    Ok(KEY.get_or_init(|| made).clone())
}

/// A UID that stays the same for the same name, so that tests can predict it.
fn uid(parts: &[&str]) -> String {
    let hash = digest(&SHA256, parts.join("/").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

fn default_audiences() -> Vec<String> {
    vec![DEFAULT_AUDIENCE.to_owned()]
}

fn an_hour() -> i64 {
    3_600
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_bound_token_carries_what_kubernetes_puts_there() {
        let claims = ProjectedToken::for_pod("shop", "web", "web-0").claims("https://issuer");
        assert_eq!(claims["sub"], "system:serviceaccount:shop:web");
        assert_eq!(claims["aud"], json!(["keyward-broker"]));
        let kubernetes = &claims["kubernetes.io"];
        assert_eq!(kubernetes["namespace"], "shop");
        assert_eq!(kubernetes["pod"]["name"], "web-0");
        assert_eq!(kubernetes["pod"]["uid"].as_str().unwrap().len(), 36);
        assert_eq!(kubernetes["node"]["name"], "node-1");
        assert_eq!(kubernetes["serviceaccount"]["name"], "web");
    }

    #[test]
    fn a_token_without_pod_names_none() {
        let claims = ProjectedToken::unbound("shop", "web").claims("https://issuer");
        assert!(claims["kubernetes.io"].get("pod").is_none());
    }

    #[test]
    fn audiences_may_be_one_or_many() {
        for (json, audiences) in [
            (r#"{"namespace":"a","serviceAccount":"b","audience":"x"}"#, vec!["x"]),
            (r#"{"namespace":"a","serviceAccount":"b","audiences":["x","y"]}"#, vec!["x", "y"]),
            (r#"{"namespace":"a","serviceAccount":"b"}"#, vec!["keyward-broker"]),
        ] {
            assert_eq!(serde_json::from_str::<ProjectedToken>(json).unwrap().audiences, audiences);
        }
    }
}
