use keyward_tests::api::{ApiServer, TokenStatus};
use serde_json::{Value, json};

use super::{
    super::testing::{claims, token},
    *,
};
use crate::{
    cluster::{testing::cluster, turns::Bounds},
    rate::Rate,
};

async fn world() -> (ApiServer, ReviewedOperators) {
    let api = ApiServer::start().await.unwrap();
    let bounds = Bounds { rate: Rate { per_second: 100, burst: 100 }, at_a_time: 2 };
    let operators = ReviewedOperators::new(Arc::new(Reviews::new(cluster(&api).client, bounds))).unwrap();
    (api, operators)
}

/// As `kubectl create token` makes it: bound to no pod.
fn signed(number: u32) -> String {
    let mut claims = claims();
    claims["kubernetes.io"]["pod"] = Value::Null;
    claims["jti"] = json!(number);
    token(&json!({ "alg": "RS256", "kid": "k" }), &claims.to_string(), b"signature")
}

const USER: &str = "system:serviceaccount:ops:oncall";

fn oncall() -> TokenStatus {
    let extra = [("authentication.kubernetes.io/credential-id".to_owned(), vec!["JTI=1".to_owned()])];
    TokenStatus { extra: extra.into(), ..TokenStatus::of_service_account("ops", "oncall") }
}

#[tokio::test]
async fn the_cluster_s_rule_decides_about_the_whole_user_and_is_asked_for_each_verb() {
    let (api, operators) = world().await;
    let token = signed(1);
    api.review(&token, oncall());
    api.allow(USER, "get");
    for _ in 0..3 {
        assert_eq!(operators.admit(&token, Verb::Get).await.as_deref(), Ok(USER));
    }
    assert_eq!(api.token_reviews(), 1, "a verdict is remembered");
    let expected = json!({
        "user": USER, "uid": "uid-of-oncall", "groups": ["system:serviceaccounts", "system:authenticated"],
        "extra": { "authentication.kubernetes.io/credential-id": ["JTI=1"] },
        "resourceAttributes": { "group": "keyward.dev", "resource": "caches", "verb": "get" },
    });
    assert_eq!(api.access_reviews().iter().map(|review| &review.spec).collect::<Vec<_>>(), [&expected]);
    for _ in 0..2 {
        let refused = operators.admit(&token, Verb::Update).await.unwrap_err();
        assert_eq!(refused, OperatorError::Forbidden { user: USER.into(), verb: Verb::Update });
        assert!(refused.to_string().contains("may not update caches.keyward.dev"), "{refused}");
    }
    assert_eq!(api.access_reviews().len(), 3, "a refusal is not");
}

#[tokio::test]
async fn a_token_that_is_not_good_is_asked_about_no_further() {
    let (api, operators) = world().await;
    let (unknown, multi, silent) = (signed(1), signed(2), signed(3));
    let many = Some(vec!["keyward-broker".to_owned(), "vault".to_owned()]);
    api.review(&multi, TokenStatus { audiences: many, ..oncall() });
    api.review(&silent, TokenStatus { audiences: None, ..oncall() });
    api.allow(USER, "get");
    for (token, refusal) in [
        (unknown.as_str(), "does not accept the token: invalid bearer token"),
        (&multi, "audience is `keyward-broker, vault`"),
        (&silent, "audience is ``"),
        ("garbage", "malformed"),
        ("", "malformed"),
    ] {
        let refused = operators.admit(token, Verb::Get).await.unwrap_err().to_string();
        assert!(refused.contains(refusal), "{refused}");
    }
    assert_eq!((api.token_reviews(), api.access_reviews().len()), (3, 0));
}

#[tokio::test]
async fn a_token_of_another_audience_or_time_costs_no_question() {
    let (api, operators) = world().await;
    for (pointer, value) in [("/aud", json!("vault")), ("/exp", json!(1)), ("/aud", json!(["keyward-broker", "x"]))] {
        let mut claims = claims();
        *claims.pointer_mut(pointer).unwrap() = value;
        let token = token(&json!({ "alg": "RS256", "kid": "k" }), &claims.to_string(), b"signature");
        assert!(matches!(operators.admit(&token, Verb::Get).await, Err(OperatorError::Token(_))), "{pointer}");
    }
    assert_eq!(api.requests().len(), 0);
}

#[tokio::test]
async fn while_the_api_server_is_gone_nobody_new_is_admitted() {
    let (api, operators) = world().await;
    let (known, new) = (signed(1), signed(2));
    api.review(&known, oncall());
    api.review(&new, oncall());
    api.allow(USER, "get");
    assert!(operators.admit(&known, Verb::Get).await.is_ok());
    api.down();
    assert!(operators.admit(&known, Verb::Get).await.is_ok());
    let refused = operators.admit(&new, Verb::Get).await.unwrap_err();
    assert!(matches!(refused, OperatorError::Token(AuthnError::Unavailable(_))), "{refused}");
}
