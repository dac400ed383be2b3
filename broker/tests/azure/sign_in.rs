//! How tokens are asked for, and for what.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use keyward_broker::vault::{ReadError, VaultReader, azure::ConnectError, credential::IdentityConfig};
use serde_json::json;
use tempfile::NamedTempFile;

use super::{
    server::{Answer, Ca, Call, Server},
    world::{CHALLENGE, World, any_secret, application, by_secret, challenge, challenging, current, tokens},
};

fn form(call: &Call) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(call.body.as_bytes()).into_owned().collect()
}

fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_client_secret_is_sent_to_the_authority_and_nowhere_else() {
    let world = World::new(any_secret).await;
    world.reader().read(&current("db")).await.unwrap();
    let call = &world.entra.calls()[0];
    assert_eq!((call.method.as_str(), call.target.as_str()), ("POST", "/tenant-1/oauth2/v2.0/token"));
    let expected = fields(&[
        ("client_id", "client-1"),
        ("client_secret", "kwcanary client secret"),
        ("grant_type", "client_credentials"),
        ("scope", "https://vault.azure.net/.default"),
    ]);
    assert!(form(call) == expected, "the form differs (not shown: it holds a secret)");
    assert!(world.vault.calls().iter().all(|call| !format!("{call:?}").contains("kwcanary")));
}

#[tokio::test]
async fn a_workload_identity_sends_the_projected_token_trimmed() {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "eyJ.projected.token\n").unwrap();
    let mut world = World::new(any_secret).await;
    world.identity = IdentityConfig::WorkloadIdentity {
        application: application("vault-tenant", "vault-client"),
        token_file: file.path().to_owned(),
    };
    world.reader().read(&current("db")).await.unwrap();
    let call = &world.entra.calls()[0];
    assert_eq!(call.target, "/vault-tenant/oauth2/v2.0/token");
    let expected = fields(&[
        ("client_assertion", "eyJ.projected.token"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_id", "vault-client"),
        ("grant_type", "client_credentials"),
        ("scope", "https://vault.azure.net/.default"),
    ]);
    assert_eq!(form(call), expected);
}

#[tokio::test]
async fn a_token_file_that_appears_later_needs_no_restart() {
    let directory = tempfile::tempdir().unwrap();
    let token_file = directory.path().join("token");
    let mut world = World::new(any_secret).await;
    world.identity =
        IdentityConfig::WorkloadIdentity { application: application("t", "c"), token_file: token_file.clone() };
    let reader = world.reader();
    let error = reader.read(&current("db")).await.unwrap_err();
    let named = token_file.display().to_string();
    assert!(matches!(&error, ReadError::NoToken(cause) if cause.contains(&named)), "{error}");

    std::fs::write(&token_file, "eyJ.late.token").unwrap();
    reader.read(&current("db")).await.unwrap();
    let challenged = world.vault.calls().iter().filter(|call| call.authorization.is_none()).count();
    assert_eq!(challenged, 1, "the scope was learnt the first time");
}

#[tokio::test]
async fn a_challenge_for_another_resource_gets_no_token_and_does_no_lasting_harm() {
    for hostile in [
        r#"Bearer authorization="https://login.example/t", resource="https://management.azure.com""#,
        r#"Bearer authorization="https://login.example/t", scope="https://graph.microsoft.com/.default""#,
        r#"Bearer authorization="https://login.example/t", scope="https://vault.azure.net/.default openid""#,
    ] {
        let healed = std::sync::Arc::new(AtomicBool::new(false));
        let healing = healed.clone();
        let world = World::open(move |call| match call.authorization {
            Some(_) => any_secret(call),
            None if healing.load(Ordering::SeqCst) => challenge(CHALLENGE),
            None => challenge(hostile),
        })
        .await;
        let reader = world.reader();
        let error = reader.read(&current("db")).await.unwrap_err();
        assert!(matches!(&error, ReadError::Malformed(text) if text.contains("another resource")), "{error}");
        assert!(world.entra.calls().is_empty(), "{hostile}");

        healed.store(true, Ordering::SeqCst);
        reader.read(&current("db")).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_a_fresh_one_at_once() {
    let revoked = std::sync::Arc::new(AtomicBool::new(false));
    let state = revoked.clone();
    let world = World::new(move |call| {
        let old = call.authorization.as_deref() == Some("Bearer token-1");
        if old && state.load(Ordering::SeqCst) { challenge(CHALLENGE) } else { any_secret(call) }
    })
    .await;
    let reader = world.reader();
    reader.read(&current("a")).await.unwrap();
    revoked.store(true, Ordering::SeqCst);
    reader.read(&current("b")).await.unwrap();
    reader.read(&current("c")).await.unwrap();
    let tokens: Vec<_> = world.vault_calls().into_iter().filter_map(|(_, token)| token).collect();
    assert_eq!(tokens, ["Bearer token-1", "Bearer token-1", "Bearer token-2", "Bearer token-2"]);
}

#[tokio::test]
async fn a_vault_that_refuses_fresh_tokens_too_has_given_its_answer() {
    let world = World::open(|_| challenge(CHALLENGE)).await;
    let reader = world.reader();
    for _ in 0..3 {
        let error = reader.read(&current("db")).await.unwrap_err();
        assert_eq!(error, ReadError::Forbidden("Unauthorized".to_owned()));
    }
    assert_eq!(world.entra.calls().len(), 2, "one sign-in, one renewal, not one for each read");
}

#[tokio::test]
async fn vaults_read_as_the_same_identity_share_its_sign_in() {
    let world = World::new(any_secret).await;
    let vaults = world.vaults();
    let connect = |identity: &IdentityConfig| {
        let cloud = keyward_crds::azure_key_vault::Cloud::AzurePublic;
        vaults.connect(&world.vault.origin, cloud, identity, world.seen.clone()).unwrap()
    };
    let readers = [connect(&world.identity), connect(&world.identity), connect(&by_secret("tenant-1", "client-2"))];
    for reader in &readers {
        reader.read(&current("db")).await.unwrap();
    }
    let clients: Vec<_> = world.entra.calls().iter().map(|call| form(call)["client_id"].clone()).collect();
    assert_eq!(clients, ["client-1", "client-2"]);
}

#[tokio::test]
async fn an_authority_that_refuses_is_told_by_its_code_alone() {
    let entra = |_: &Call| {
        let description = "AADSTS7000215: kwcanary";
        Answer::json(
            401,
            json!({"error": "invalid_client", "error_description": description, "error_codes": [7_000_215]}),
        )
    };
    let world = World::with_entra(challenging(any_secret), entra).await;
    let error = world.reader().read(&current("db")).await.unwrap_err();
    assert_eq!(error, ReadError::NoToken("the authority answers 401, AADSTS7000215".to_owned()));
    assert_eq!(world.entra.calls().len(), 1, "not repeated");
}

#[tokio::test]
async fn an_authority_that_hangs_or_talks_nonsense_is_the_reason_given() {
    for nonsense in [(|_: &Call| Answer::Hang) as fn(&Call) -> Answer, |_| Answer::json(200, "kwcanary")] {
        let mut world = World::with_entra(challenging(any_secret), nonsense).await;
        world.timeout = Duration::from_secs(1);
        let error = world.reader().read(&current("db")).await.unwrap_err();
        assert!(matches!(&error, ReadError::NoToken(cause) if !cause.contains("kwcanary")), "{error}");
    }
}

#[tokio::test]
async fn an_authority_s_redirect_carries_no_secret_elsewhere() {
    let ca = Ca::new();
    let thief = Server::start(&ca, tokens()).await;
    let target = format!("{}/steal", thief.origin);
    let entra = move |_: &Call| Answer::with(307, &[("location", &target)], "");
    let world = World::trusting(&ca, challenging(any_secret), entra).await;
    assert!(matches!(world.reader().read(&current("db")).await, Err(ReadError::NoToken(_))));
    assert!(thief.calls().is_empty());
}

#[tokio::test]
async fn an_identity_that_cannot_be_is_refused_before_anything_is_sent() {
    let mut world = World::new(any_secret).await;
    world.identity = by_secret("ten/ant", "client-1");
    let error = world.try_reader().err().unwrap();
    assert!(matches!(&error, ConnectError::Identity { .. }));
    assert!(error.to_string().contains("ten/ant") && !error.to_string().contains("kwcanary"), "{error}");
}

#[tokio::test]
async fn a_refusal_is_confirmed_by_a_fresh_token_only() {
    let refusing = |_: &Call| Answer::json(403, json!({"error": {"code": "Forbidden"}}));
    let world = World::new(refusing).await;
    assert!(world.reader().renew().await);
    let without = World::with_entra(challenging(refusing), |_| Answer::json(503, json!({}))).await;
    assert!(!without.reader().renew().await, "no token is to be had: the refusal stays in doubt");
}
