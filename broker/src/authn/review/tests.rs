use std::time::Duration;

use keyward_tests::api::{ApiServer, TokenStatus};
use serde_json::{Value, json};

use super::{
    super::{
        testing::{EXPIRES, claims, token},
        verdicts::Verdicts,
    },
    *,
};
use crate::{
    cluster::{testing::cluster, turns::Bounds},
    rate::Rate,
};

const BOUNDS: Bounds = Bounds { rate: Rate { per_second: 1_000, burst: 1_000 }, at_a_time: 8 };
const UID: &str = "3f1c2d8e-0000-4000-8000-000000000001";

struct World {
    api: ApiServer,
    authenticator: Arc<ReviewAuthenticator>,
}

impl World {
    async fn start() -> Self {
        Self::bounded(BOUNDS).await
    }

    async fn bounded(bounds: Bounds) -> Self {
        let api = ApiServer::start().await.unwrap();
        let reviews = Arc::new(Reviews::new(cluster(&api).client, bounds));
        Self { api, authenticator: Arc::new(ReviewAuthenticator::new(reviews)) }
    }

    async fn verdict(&self, token: &str) -> Result<Caller, AuthnError> {
        self.authenticator.authenticate(token).await.map(Arc::unwrap_or_clone)
    }
}

/// A token with these claims; its signature is the API server's affair.
fn signed(claims: &Value) -> String {
    token(&json!({ "alg": "RS256", "kid": "k" }), &claims.to_string(), b"signature")
}

/// One of many.
fn numbered(number: u32) -> String {
    let mut claims = claims();
    claims["jti"] = json!(number);
    signed(&claims)
}

fn good() -> TokenStatus {
    TokenStatus::of_pod("shop", "web", "web-0", UID)
}

fn with_extra(key: &str, values: &[&str]) -> TokenStatus {
    let mut status = good();
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    status.extra.insert(format!("authentication.kubernetes.io/{key}"), values);
    status
}

#[tokio::test]
async fn a_pod_s_token_names_its_pod_and_its_node_where_the_api_server_does() {
    let world = World::start().await;
    let token = signed(&claims());
    let expected = Caller {
        namespace: "shop".into(),
        service_account: "web".into(),
        pod_name: "web-0".into(),
        pod_uid: UID.into(),
        node: None,
        expires: SystemTime::UNIX_EPOCH + Duration::from_secs(EXPIRES),
    };
    world.api.review(&token, good());
    assert_eq!(world.verdict(&token).await, Ok(expected.clone()));
    world.api.review(&token, with_extra("node-name", &["node-1.example"]));
    assert_eq!(world.verdict(&token).await, Ok(Caller { node: Some("node-1.example".into()), ..expected }));
}

#[tokio::test]
async fn what_the_api_server_does_not_accept_wholly_is_refused() {
    let world = World::start().await;
    let token = signed(&claims());
    let audiences = |audiences: Option<&[&str]>| TokenStatus {
        audiences: audiences.map(|all| all.iter().map(|one| (*one).to_owned()).collect()),
        ..good()
    };
    let wrong_audience = |found: &str| AuthnError::WrongAudience { found: format!("`{found}`") };
    let other_pod = AuthnError::Malformed("the API server names another pod than it does");
    let several = AuthnError::Malformed("the API server names several pods or nodes for it, or an empty one");
    let mut unbound = good();
    unbound.extra.clear();
    let mut without_uid = good();
    without_uid.extra.remove(POD_UID);
    for (status, expected) in [
        (TokenStatus::refused("Token has been invalidated"), AuthnError::Refused("Token has been invalidated".into())),
        (TokenStatus::default(), AuthnError::Refused(String::new())),
        (TokenStatus { error: Some("odd".into()), ..good() }, AuthnError::Refused("odd".into())),
        (TokenStatus { user: String::new(), ..good() }, AuthnError::Refused(String::new())),
        (audiences(None), wrong_audience("")),
        (audiences(Some(&[])), wrong_audience("")),
        (audiences(Some(&["keyward-broker", "vault"])), wrong_audience("keyward-broker, vault")),
        (audiences(Some(&["https://kubernetes.default.svc"])), wrong_audience("https://kubernetes.default.svc")),
        (TokenStatus { user: "jane@example.org".into(), ..good() }, AuthnError::NotPodBound),
        (TokenStatus { user: "system:node:node-1".into(), ..good() }, AuthnError::NotPodBound),
        (TokenStatus { user: "system:serviceaccount:shop:".into(), ..good() }, AuthnError::NotPodBound),
        (unbound, AuthnError::NotPodBound),
        (without_uid, AuthnError::NotPodBound),
        (TokenStatus { user: "system:serviceaccount:bank:web".into(), ..good() }, other_pod.clone()),
        (TokenStatus { user: "system:serviceaccount:shop:root".into(), ..good() }, other_pod.clone()),
        (with_extra("pod-name", &["web-1"]), other_pod.clone()),
        (with_extra("pod-uid", &["3f1c2d8e-0000-4000-8000-000000000009"]), other_pod.clone()),
        (with_extra("node-name", &["node-2.example"]), other_pod),
        (with_extra("pod-uid", &[UID, UID]), several.clone()),
        (with_extra("pod-name", &[""]), several),
    ] {
        world.api.review(&token, status.clone());
        assert_eq!(world.verdict(&token).await, Err(expected), "{status:?}");
    }
}

#[tokio::test]
async fn what_a_token_itself_says_is_refused_without_a_question() {
    let world = World::start().await;
    let with = |pointer: &str, value: Value| {
        let mut claims = claims();
        *claims.pointer_mut(pointer).unwrap() = value;
        let token = signed(&claims);
        world.api.review(&token, good());
        token
    };
    for (token, refusal) in [
        (String::new(), "no bearer token"),
        ("garbage".to_owned(), "malformed"),
        ("a.b.c".to_owned(), "malformed"),
        (with("/aud", json!(["https://kubernetes.default.svc"])), "audience is `https://kubernetes.default.svc`"),
        (with("/aud", json!(["keyward-broker", "vault"])), "audience is `keyward-broker, vault`"),
        (with("/exp", json!(1_700_000_000)), "expired"),
        (with("/exp", json!("soon")), "malformed"),
        (with("/nbf", json!(EXPIRES)), "not valid yet"),
        (with("/kubernetes.io/pod", Value::Null), "bound to no pod"),
        (with("/kubernetes.io", Value::Null), "bound to no pod"),
        (with("/sub", json!("system:serviceaccount:bank:web")), "malformed"),
    ] {
        let refused = world.verdict(&token).await.unwrap_err().to_string();
        assert!(refused.contains(refusal), "{token}: {refused}");
    }
    assert_eq!(world.api.token_reviews(), 0);
}

#[tokio::test]
async fn while_the_api_server_is_gone_nothing_is_guessed_and_what_was_reviewed_holds() {
    let world = World::start().await;
    let verdicts = Verdicts::new(world.authenticator.clone()).unwrap();
    let (known, new) = (signed(&claims()), numbered(1));
    for token in [&known, &new] {
        world.api.review(token, good());
    }
    assert!(verdicts.authenticate(&known).await.is_ok());
    world.api.down();
    assert!(verdicts.authenticate(&known).await.is_ok());
    let refused = verdicts.authenticate(&new).await.unwrap_err();
    assert!(matches!(&refused, AuthnError::Unavailable(why) if why.contains("API server")), "{refused}");
    world.api.up();
    assert!(verdicts.authenticate(&new).await.is_ok());
}

#[tokio::test]
async fn a_token_that_many_show_at_once_is_reviewed_once() {
    let world = World::start().await;
    let verdicts = Arc::new(Verdicts::new(world.authenticator.clone()).unwrap());
    let token = signed(&claims());
    world.api.review(&token, good());
    let shown = futures::future::join_all((0..50).map(|_| verdicts.authenticate(&token))).await;
    assert!(shown.iter().all(Result::is_ok));
    assert_eq!(world.api.token_reviews(), 1);
}

#[tokio::test]
async fn reviews_are_bounded_in_number() {
    let world = World::bounded(Bounds { rate: Rate { per_second: 1, burst: 3 }, at_a_time: 2 }).await;
    let mut refusals = 0;
    for n in 0..10 {
        match world.verdict(&numbered(n)).await.unwrap_err() {
            AuthnError::Refused(_) => refusals += 1,
            AuthnError::Unavailable(why) => assert!(why.contains("too many reviews"), "{why}"),
            other => panic!("{other}"),
        }
    }
    assert!((3..6).contains(&refusals), "{refusals}");
    assert_eq!(world.api.token_reviews(), refusals);
}
