//! From verified claims to a caller: who issued the token, for whom, until when, and into which pod.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::{AUDIENCE, AuthnError, Caller, quote};

/// Clocks differ. It helps only a token that is too young: one that has expired stays expired.
const LEEWAY: Duration = Duration::from_secs(30);

/// The longest DNS subdomain, which bounds the names of pods, service accounts and nodes.
const MAX_NAME: usize = 253;
/// The longest DNS label, which bounds the names of namespaces.
const MAX_LABEL: usize = 63;
/// A UID is a UUID, or for a static pod a hash.
pub(crate) const MAX_UID: usize = 64;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: String,
    serviceaccount: Named,
    pod: Option<Identified>,
    node: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Identified {
    name: String,
    uid: String,
}

/// Reads claims whose signature has been verified.
pub(super) fn caller(claims: &[u8], issuer: &str, now: SystemTime) -> Result<Caller, AuthnError> {
    let claims = parse(claims)?;
    if claims.iss != issuer {
        return Err(AuthnError::WrongIssuer { found: quote(&claims.iss), expected: issuer.to_owned() });
    }
    pod(claims, now)
}

/// Reads claims that prove nothing yet: whom the token would be for, if its issuer stood by it. Whoever that is, is known
/// to the API server alone.
pub(super) fn claimed(claims: &[u8], now: SystemTime) -> Result<Caller, AuthnError> {
    pod(parse(claims)?, now)
}

/// Reads of claims that prove nothing yet when the token ends, and that it is for us.
pub(super) fn expiry(claims: &[u8], now: SystemTime) -> Result<SystemTime, AuthnError> {
    let claims = parse(claims)?;
    check_audience(&claims.aud)?;
    check_time(&claims, now)
}

fn parse(claims: &[u8]) -> Result<Claims, AuthnError> {
    serde_json::from_slice(claims)
        .map_err(|_| AuthnError::Malformed("its claims are not those of a Kubernetes service account token"))
}

fn pod(claims: Claims, now: SystemTime) -> Result<Caller, AuthnError> {
    check_audience(&claims.aud)?;
    let expires = check_time(&claims, now)?;
    let kubernetes = claims.kubernetes.ok_or(AuthnError::NotPodBound)?;
    let pod = kubernetes.pod.ok_or(AuthnError::NotPodBound)?;
    let node = kubernetes.node.map(|node| node.name);
    check_names(&kubernetes.namespace, &kubernetes.serviceaccount.name, &pod, node.as_deref())?;
    if claims.sub != format!("system:serviceaccount:{}:{}", kubernetes.namespace, kubernetes.serviceaccount.name) {
        return Err(AuthnError::Malformed("its subject is not the service account that it names"));
    }
    Ok(Caller {
        namespace: kubernetes.namespace,
        service_account: kubernetes.serviceaccount.name,
        pod_name: pod.name,
        pod_uid: pod.uid,
        node,
        expires,
    })
}

/// Exactly our audience. Whoever else a token is for has seen it, and could show it here as its own.
fn check_audience(audience: &Audience) -> Result<(), AuthnError> {
    let found = match audience {
        Audience::One(one) => std::slice::from_ref(one),
        Audience::Many(many) => many,
    };
    if found == [AUDIENCE] {
        return Ok(());
    }
    Err(AuthnError::WrongAudience { found: format!("`{}`", quote(&found.join(", "))) })
}

fn check_time(claims: &Claims, now: SystemTime) -> Result<SystemTime, AuthnError> {
    validity(claims.exp, [claims.nbf, claims.iat], now)
}

/// Until when a token is good that ends at `ends` and is good from `starts` on, where it is good at `now`.
pub(super) fn validity(ends: u64, starts: [Option<u64>; 2], now: SystemTime) -> Result<SystemTime, AuthnError> {
    let at = |seconds| {
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds))
            .ok_or(AuthnError::Malformed("one of its times is beyond all clocks"))
    };
    let expires = at(ends)?;
    if let Ok(since) = now.duration_since(expires) {
        return Err(AuthnError::Expired { since });
    }
    for start in starts.into_iter().flatten() {
        if at(start)?.duration_since(now).is_ok_and(|ahead| ahead > LEEWAY) {
            return Err(AuthnError::NotYetValid);
        }
    }
    Ok(expires)
}

/// They go into audit lines: bounded, and only the characters that Kubernetes allows.
fn check_names(namespace: &str, service_account: &str, pod: &Identified, node: Option<&str>) -> Result<(), AuthnError> {
    let uid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let subdomain = |byte: u8| label(byte) || byte == b'.';
    let valid = fits(namespace, MAX_LABEL, label)
        && fits(service_account, MAX_NAME, subdomain)
        && fits(&pod.name, MAX_NAME, subdomain)
        && fits(&pod.uid, MAX_UID, uid)
        && node.is_none_or(|node| fits(node, MAX_NAME, subdomain));
    if valid { Ok(()) } else { Err(AuthnError::Malformed("one of its names is no name in Kubernetes")) }
}

fn fits(text: &str, longest: usize, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{EXPIRES, ISSUER, NOW, claims};
    use super::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }

    /// The verdict on good claims with one member replaced, `null` removing it.
    fn with(pointer: &str, value: Value) -> Result<Caller, AuthnError> {
        let mut claims = claims();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        let parent = claims.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            parent.remove(member).unwrap();
        } else {
            parent.insert(member.to_owned(), value);
        }
        caller(claims.to_string().as_bytes(), ISSUER, now())
    }

    #[test]
    fn a_projected_token_names_its_pod() {
        let expected = Caller {
            namespace: "shop".into(),
            service_account: "web".into(),
            pod_name: "web-0".into(),
            pod_uid: "3f1c2d8e-0000-4000-8000-000000000001".into(),
            node: Some("node-1.example".into()),
            expires: SystemTime::UNIX_EPOCH + Duration::from_secs(EXPIRES),
        };
        assert_eq!(caller(claims().to_string().as_bytes(), ISSUER, now()), Ok(expected.clone()));
        assert_eq!(with("/kubernetes.io/node", Value::Null), Ok(Caller { node: None, ..expected }));
    }

    #[test]
    fn only_exactly_our_audience_is_accepted() {
        for good in [json!("keyward-broker"), json!(["keyward-broker"])] {
            assert!(with("/aud", good.clone()).is_ok(), "{good}");
        }
        for (bad, found) in [
            (json!("https://kubernetes.default.svc"), "`https://kubernetes.default.svc`"),
            (json!(["keyward-broker", "vault"]), "`keyward-broker, vault`"),
            (json!(["keyward-broker", "keyward-broker"]), "`keyward-broker, keyward-broker`"),
            (json!("Keyward-Broker"), "`Keyward-Broker`"),
            (json!([]), "``"),
            (json!("a\nb"), "`a\\nb`"),
        ] {
            assert_eq!(with("/aud", bad), Err(AuthnError::WrongAudience { found: found.into() }));
        }
        let Err(AuthnError::WrongAudience { found }) = with("/aud", json!("x".repeat(9_999))) else { panic!() };
        assert_eq!(found.len(), 130);
    }

    #[test]
    fn another_issuer_is_refused_however_alike() {
        for found in ["https://other.example", "https://issuer.example/", "https://ISSUER.example", ""] {
            let expected = AuthnError::WrongIssuer { found: found.into(), expected: ISSUER.into() };
            assert_eq!(with("/iss", json!(found)), Err(expected));
        }
    }

    #[test]
    fn expiry_is_exact_and_the_start_has_leeway() {
        assert_eq!(with("/exp", json!(NOW)), Err(AuthnError::Expired { since: Duration::ZERO }));
        assert_eq!(with("/exp", json!(NOW - 5)), Err(AuthnError::Expired { since: Duration::from_secs(5) }));
        assert!(with("/exp", json!(NOW + 1)).is_ok());
        for start in ["/nbf", "/iat"] {
            assert!(with(start, json!(NOW + 30)).is_ok(), "{start}");
            assert_eq!(with(start, json!(NOW + 31)), Err(AuthnError::NotYetValid), "{start}");
            assert!(with(start, Value::Null).is_ok(), "{start}");
        }
    }

    #[test]
    fn a_token_without_a_pod_is_refused() {
        for pointer in ["/kubernetes.io", "/kubernetes.io/pod"] {
            assert_eq!(with(pointer, Value::Null), Err(AuthnError::NotPodBound), "{pointer}");
        }
    }

    #[test]
    fn claims_that_lack_contradict_or_overflow_are_malformed() {
        for (pointer, value) in [
            ("/iss", Value::Null),
            ("/sub", Value::Null),
            ("/aud", Value::Null),
            ("/exp", Value::Null),
            ("/exp", json!("never")),
            ("/exp", json!(u64::MAX)),
            ("/nbf", json!(-1)),
            ("/sub", json!("system:serviceaccount:bank:web")),
            ("/sub", json!("system:serviceaccount:shop:web:x")),
            ("/sub", json!("system:node:node-1")),
            ("/kubernetes.io/namespace", json!("bank")),
            ("/kubernetes.io/namespace", json!("")),
            ("/kubernetes.io/namespace", json!("a".repeat(64))),
            ("/kubernetes.io/serviceaccount/name", json!("root")),
            ("/kubernetes.io/pod/name", json!("a".repeat(254))),
            ("/kubernetes.io/pod/name", json!("web\n0")),
            ("/kubernetes.io/pod/uid", json!("")),
            ("/kubernetes.io/pod/uid", Value::Null),
            ("/kubernetes.io/pod/uid", json!("a".repeat(65))),
            ("/kubernetes.io/node/name", json!("../etc")),
        ] {
            let verdict = with(pointer, value.clone());
            assert!(matches!(verdict, Err(AuthnError::Malformed(_))), "{pointer} {value}: {verdict:?}");
        }
    }

    #[test]
    fn a_member_given_twice_is_malformed() {
        let text = claims().to_string().replacen('{', r#"{"aud":"keyward-broker","#, 1);
        assert!(matches!(caller(text.as_bytes(), ISSUER, now()), Err(AuthnError::Malformed(_))));
    }
}
