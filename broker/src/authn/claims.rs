//! Which claims make a caller. Pure.
//!
//! Source: <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims>

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyward_proto::TOKEN_AUDIENCE;
use serde::Deserialize;

use super::{AuthnError, Caller};

/// How far ahead of ours the issuer's clock may be. A token's end is not stretched.
const LEEWAY: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: String,
    serviceaccount: Named,
    pod: Option<Named>,
    node: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    uid: String,
}

/// The caller that `payload`, whose signature was verified, speaks of at the time `now`.
///
/// The audience must be ours alone: a token that is also for another service could be replayed to us by it.
pub fn caller(payload: &[u8], issuer: &str, now: SystemTime) -> Result<Caller, AuthnError> {
    let claims: Claims =
        serde_json::from_slice(payload).map_err(|_| AuthnError::Malformed("claims are missing or of another type"))?;
    if claims.iss != issuer {
        return Err(AuthnError::WrongIssuer);
    }
    let ours = match &claims.aud {
        OneOrMany::One(audience) => audience == TOKEN_AUDIENCE,
        OneOrMany::Many(audiences) => matches!(audiences.as_slice(), [only] if only == TOKEN_AUDIENCE),
    };
    if !ours {
        return Err(AuthnError::WrongAudience);
    }
    check_times(&claims, now)?;
    pod(claims)
}

fn check_times(claims: &Claims, now: SystemTime) -> Result<(), AuthnError> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    if now >= Duration::from_secs(claims.exp) {
        return Err(AuthnError::Expired);
    }
    let to_come = |seconds: Option<u64>| seconds.is_some_and(|seconds| Duration::from_secs(seconds) > now + LEEWAY);
    if to_come(claims.nbf) || to_come(claims.iat) { Err(AuthnError::NotYetValid) } else { Ok(()) }
}

fn pod(claims: Claims) -> Result<Caller, AuthnError> {
    let Kubernetes { namespace, serviceaccount, pod, node } = claims.kubernetes.ok_or(AuthnError::NotPodBound)?;
    let pod = pod.filter(|pod| !pod.name.is_empty() && !pod.uid.is_empty()).ok_or(AuthnError::NotPodBound)?;
    if claims.sub != format!("system:serviceaccount:{namespace}:{}", serviceaccount.name) {
        return Err(AuthnError::Malformed("subject and kubernetes.io claims name different service accounts"));
    }
    let names = [&namespace, &serviceaccount.name, &pod.name, &pod.uid];
    if names.iter().any(|name| name.is_empty() || name.len() > 253) {
        return Err(AuthnError::Malformed("a name in it is empty or too long"));
    }
    Ok(Caller {
        namespace,
        service_account: serviceaccount.name,
        pod_name: pod.name,
        pod_uid: pod.uid,
        node: node.map(|node| node.name).filter(|name| name.len() <= 253),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://issuer.example";

    fn good() -> Value {
        json!({
            "iss": ISSUER, "sub": "system:serviceaccount:shop:checkout", "aud": ["keyward-broker"],
            "exp": 2_000, "nbf": 900, "iat": 900,
            "kubernetes.io": {
                "namespace": "shop", "serviceaccount": {"name": "checkout", "uid": "s"},
                "pod": {"name": "checkout-1", "uid": "p"}, "node": {"name": "node-1", "uid": "n"},
            },
        })
    }

    fn at(seconds: u64, claims: &Value) -> Result<Caller, AuthnError> {
        caller(claims.to_string().as_bytes(), ISSUER, UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn a_pods_own_token_makes_a_caller() {
        let caller = at(1_000, &good()).unwrap();
        assert_eq!((caller.namespace.as_str(), caller.service_account.as_str()), ("shop", "checkout"));
        assert_eq!((caller.pod_name.as_str(), caller.pod_uid.as_str()), ("checkout-1", "p"));
        assert_eq!(caller.node.as_deref(), Some("node-1"));
    }

    #[test]
    fn one_claim_that_is_off_refuses_the_token() {
        let malformed = |error: &AuthnError| matches!(error, AuthnError::Malformed(_));
        for (pointer, value, expected) in [
            ("/iss", json!("https://issuer.example/"), Some(AuthnError::WrongIssuer)),
            ("/aud", json!("https://kubernetes.default.svc"), Some(AuthnError::WrongAudience)),
            ("/aud", json!(["keyward-broker", "other"]), Some(AuthnError::WrongAudience)),
            ("/aud", json!([]), Some(AuthnError::WrongAudience)),
            ("/aud", json!(["keyward-broker-2"]), Some(AuthnError::WrongAudience)),
            ("/exp", json!(1_000), Some(AuthnError::Expired)),
            ("/nbf", json!(1_031), Some(AuthnError::NotYetValid)),
            ("/iat", json!(1_031), Some(AuthnError::NotYetValid)),
            ("/kubernetes.io", Value::Null, Some(AuthnError::NotPodBound)),
            ("/kubernetes.io/pod", Value::Null, Some(AuthnError::NotPodBound)),
            ("/kubernetes.io/pod/uid", json!(""), Some(AuthnError::NotPodBound)),
            ("/kubernetes.io/namespace", json!("bank"), None),
            ("/kubernetes.io/serviceaccount/name", json!("other"), None),
            ("/kubernetes.io/pod/name", json!("x".repeat(254)), None),
            ("/sub", json!("system:node:node-1"), None),
            ("/exp", json!("2000"), None),
            ("/exp", json!(-1), None),
        ] {
            let mut claims = good();
            *claims.pointer_mut(pointer).unwrap() = value.clone();
            let error = at(1_000, &claims).unwrap_err();
            let right = expected.as_ref().map_or_else(|| malformed(&error), |expected| *expected == error);
            assert!(right, "{pointer} = {value}: {error}");
        }
    }

    #[test]
    fn an_audience_may_be_a_string_and_small_clock_differences_do_no_harm() {
        let mut claims = good();
        claims["aud"] = json!("keyward-broker");
        claims["nbf"] = json!(1_030);
        assert!(at(1_000, &claims).is_ok());
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for payload in ["", "null", "[]", "\"x\"", "{}"] {
            let refused = caller(payload.as_bytes(), ISSUER, UNIX_EPOCH);
            assert!(matches!(refused, Err(AuthnError::Malformed(_))), "{payload}");
        }
    }
}
