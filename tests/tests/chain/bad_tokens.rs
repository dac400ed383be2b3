//! Every token that must be refused, through the real wire. Whatever is wrong with it, the answer carries no value and the
//! vault is not asked.

use keyward_tests::{
    stand::Stand,
    vault::{CallCount, ProjectedToken},
};
use serde_json::json;
use tonic::Code;

use super::support::{launch, resolve, secret, shop, shop_token};

async fn refused(stand: &Stand, what: &str, token: Option<&str>, because: &str) {
    let status = resolve(stand, token, &["db-password"]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{what}: {}", status.message());
    assert!(status.message().contains(because), "{what}: {}", status.message());
    if let Some(token) = token {
        assert!(!status.message().contains(token), "{what}: the token is in the error");
    }
}

#[tokio::test]
async fn no_bad_token_gets_past_the_door() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    let forge = stand.emulator.forge();
    let good = shop_token();

    refused(&stand, "no token", None, "token").await;
    refused(&stand, "no token at all", Some("x"), "token").await;
    let other_audience =
        stand.emulator.projected_token(&good.clone().audience("https://kubernetes.default.svc")).unwrap();
    refused(&stand, "the API server's audience", Some(&other_audience), "audience").await;
    let two = ProjectedToken { audiences: vec!["keyward-broker".into(), "other".into()], ..good.clone() };
    refused(&stand, "two audiences", Some(&stand.emulator.projected_token(&two).unwrap()), "audience").await;
    refused(&stand, "expired", Some(&forge.expired(&good).unwrap()), "expired").await;
    refused(&stand, "another key", Some(&forge.wrong_key(&good).unwrap()), "").await;
    refused(&stand, "alg none", Some(&forge.unsigned(&good)), "").await;
    let unbound = stand.emulator.projected_token(&ProjectedToken::unbound("shop", "checkout")).unwrap();
    refused(&stand, "bound to no pod", Some(&unbound), "pod").await;

    let mut claims = forge.claims(&good);
    claims["iss"] = json!("https://elsewhere.example");
    refused(&stand, "another issuer", Some(&forge.sign(&claims).unwrap()), "issuer").await;
    let mut claims = forge.claims(&good);
    claims["sub"] = json!("system:serviceaccount:bank:teller");
    refused(&stand, "a subject of another namespace", Some(&forge.sign(&claims).unwrap()), "").await;
    let valid = stand.emulator.projected_token(&good).unwrap();
    let (front, signature) = valid.rsplit_once('.').unwrap();
    let flipped: String = signature.chars().rev().collect();
    refused(&stand, "a signature of something else", Some(&format!("{front}.{flipped}")), "").await;

    let vault_calls = stand.emulator.calls().matching(|call: &CallCount| call.vault == "acme");
    assert_eq!(vault_calls, 0, "the vault must not be asked for a caller who was refused");
    resolve(&stand, Some(&valid), &["db-password"]).await.unwrap();
}

#[tokio::test]
async fn the_launcher_says_that_its_token_was_refused() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    let finished = launch(&stand, &shop_token().audience("other"), "db-password@azurekeyvault").await;
    assert_eq!(finished.status.code(), Some(77), "{}", finished.stderr);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    assert!(
        finished.stderr.contains("db-password@azurekeyvault") && finished.stderr.contains("audience"),
        "{}",
        finished.stderr
    );
}

#[tokio::test]
async fn the_audit_line_of_a_refused_token_names_no_caller() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    resolve(&stand, None, &["db-password"]).await.unwrap_err();
    let refused = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["code"] == "UNAUTHENTICATED").then_some(line)
    };
    let line = stand.broker.line("an audit line", refused).await.unwrap();
    assert!(line["caller"].is_null() && line["error"].is_string() && line["peer"].is_string(), "{line}");
}
