//! The parts of the REST API that the SDKs hide: status codes, error bodies, links, forgiving paths.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::support::{Raw, answer, empty, emulator, http};

#[tokio::test]
async fn a_request_without_token_is_challenged_with_tenant_and_resource() {
    let emulator = empty().await;
    let url = format!("{}/secrets/a/?api-version=7.6", emulator.vault_url("acme"));
    let challenged = answer(http(&emulator).get(url).send().await.unwrap()).await;
    assert_eq!(challenged.status, StatusCode::UNAUTHORIZED);
    assert_eq!(challenged.error(), ("Unauthorized", None));
    let expected = format!(
        r#"Bearer authorization="{}/11111111-1111-1111-1111-111111111111", resource="https://vault.azure.net""#,
        emulator.authority()
    );
    assert_eq!(challenged.headers[header::WWW_AUTHENTICATE], expected.as_str());
}

#[tokio::test]
async fn refusals_carry_key_vaults_codes() {
    let emulator = emulator("vaults: {acme: {secrets: {off: {value: kwcanary-off, enabled: false}}}}").await;
    let raw = Raw::new(&emulator, "acme").await;
    for (method, path, body, status, code, inner) in [
        (Method::GET, "/secrets/none", Value::Null, 404, "SecretNotFound", None),
        (Method::GET, "/secrets/off/0123", Value::Null, 404, "SecretNotFound", None),
        (Method::GET, "/keys/none", Value::Null, 404, "KeyNotFound", None),
        (Method::GET, "/certificates/none", Value::Null, 404, "CertificateNotFound", None),
        (Method::GET, "/secrets/off", Value::Null, 403, "Forbidden", Some("SecretDisabled")),
        (Method::GET, "/secrets/a.b", Value::Null, 400, "BadParameter", None),
        (Method::GET, "/secrets?maxresults=26", Value::Null, 400, "BadParameter", None),
        (Method::PUT, "/secrets/a", json!({"no": "value"}), 400, "BadParameter", None),
        (Method::PUT, "/secrets/a", json!({"value": "x".repeat(25_601)}), 400, "BadParameter", None),
        (Method::POST, "/keys/a/create", json!({"kty": "RSA", "key_size": 1024}), 400, "BadParameter", None),
        (Method::POST, "/secrets/a/backup", Value::Null, 501, "NotImplemented", None),
        (Method::GET, "/nothing", Value::Null, 404, "ResourceNotFound", None),
    ] {
        let body = (!body.is_null()).then_some(body);
        let answer = raw.send(method.clone(), path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        assert_eq!(answer.error(), (code, inner), "{method} {path}");
    }
}

#[tokio::test]
async fn a_request_without_api_version_is_refused_and_newer_ones_are_taken() {
    let emulator = emulator("vaults: {acme: {secrets: {a: {value: kwcanary}}}}").await;
    let raw = Raw::new(&emulator, "acme").await;
    let base = emulator.vault_url("acme");
    for (rest, status) in [
        ("/secrets/a", 400),
        ("/secrets/a?api-version=2030-01-01", 200),
        ("/secrets/a/?api%2Dversion=7.6", 200),
        ("//secrets/A?api-version=7.6", 200),
        ("/Secrets/%61?api-version=7.6", 200),
    ] {
        assert_eq!(raw.send_url(Method::GET, &format!("{base}{rest}"), None).await.status.as_u16(), status, "{rest}");
    }
}

#[tokio::test]
async fn a_body_too_large_is_refused_and_counted() {
    let emulator = empty().await;
    let raw = Raw::new(&emulator, "acme").await;
    let big = raw.send(Method::PUT, "/secrets/a", Some(json!({"value": "x".repeat(2 << 20)}))).await;
    assert_eq!(big.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(super::support::count(&emulator, "SecretSet", 413), 1);
}

#[tokio::test]
async fn pages_link_absolutely_to_the_host_that_was_asked() {
    let emulator = empty().await;
    let raw = Raw::new(&emulator, "acme").await;
    for name in ["a", "b", "c"] {
        raw.set(name, "kwcanary").await;
    }
    let first = raw.get("/secrets?maxresults=2").await.body;
    let next = first["nextLink"].as_str().unwrap();
    assert!(next.starts_with(&format!("{}/secrets?", emulator.vault_url("acme"))), "{next}");
    // As the Rust SDK sends it back.
    let second = raw.send_url(Method::GET, &next.replace("$skiptoken", "%24skiptoken"), None).await.body;
    assert_eq!(second["value"].as_array().unwrap().len(), 1);
    assert_eq!(second["nextLink"], Value::Null);
    let id = second["value"][0]["id"].as_str().unwrap();
    assert_eq!(id, format!("{}/secrets/c", emulator.vault_url("acme")), "a list names no version");
    assert!(second["value"][0].get("value").is_none());
}

#[tokio::test]
async fn a_vault_is_reached_by_its_host_name_on_any_vault_port() {
    let vaults = "vaults: {acme: {secrets: {a: {value: kwcanary-acme}}}, partner: {}}";
    let emulator = emulator(vaults).await;
    let raw = Raw::new(&emulator, "acme").await;
    let port = emulator.vault_url("partner").rsplit(':').next().unwrap().to_owned();
    let ca = reqwest::Certificate::from_pem(emulator.ca_pem().as_bytes()).unwrap();
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .resolve("acme.vault.azure.net", address)
        .build()
        .unwrap();
    let url = format!("https://acme.vault.azure.net:{port}/secrets/a?api-version=7.6");
    let token = super::support::token(&emulator).await;
    let found = answer(client.get(&url).bearer_auth(token).send().await.unwrap()).await;
    assert_eq!(found.status, StatusCode::OK);
    let id = found.body["id"].as_str().unwrap();
    assert!(id.starts_with(&format!("https://acme.vault.azure.net:{port}/secrets/a/")), "{id}");
    let partner = raw.send_url(Method::GET, &format!("https://localhost:{port}/secrets/a?api-version=7.6"), None).await;
    assert_eq!(partner.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_deleted_name_conflicts_and_deleted_objects_are_listed() {
    let emulator = empty().await;
    let raw = Raw::new(&emulator, "acme").await;
    raw.set("a", "kwcanary").await;
    let deleted = raw.send(Method::DELETE, "/secrets/a", None).await.body;
    assert!(deleted.get("value").is_none(), "an answer to DELETE holds no value");
    assert_eq!(deleted["recoveryId"], format!("{}/deletedsecrets/a", emulator.vault_url("acme")));
    let lasts = deleted["scheduledPurgeDate"].as_i64().unwrap() - deleted["deletedDate"].as_i64().unwrap();
    assert_eq!(lasts, 90 * 86_400);

    let conflict = raw.send(Method::PUT, "/secrets/A", Some(json!({"value": "kwcanary"}))).await;
    assert_eq!(conflict.status, StatusCode::CONFLICT);
    assert_eq!(conflict.error(), ("Conflict", Some("ObjectIsDeletedButRecoverable")));
    assert_eq!(raw.get("/deletedsecrets").await.body["value"].as_array().unwrap().len(), 1);
    assert_eq!(raw.get("/secrets").await.body["value"].as_array().unwrap().len(), 0);
    assert_eq!(raw.get("/deletedsecrets/a").await.status, StatusCode::OK);
    assert_eq!(raw.send(Method::POST, "/deletedsecrets/a/recover", None).await.status, StatusCode::OK);
    assert_eq!(raw.get("/deletedsecrets/a").await.status, StatusCode::NOT_FOUND);
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_change_answers_without_the_value_and_touches_one_version() {
    let emulator = empty().await;
    let raw = Raw::new(&emulator, "acme").await;
    let first = raw.set("a", "kwcanary-1").await["id"].as_str().unwrap().to_owned();
    raw.set("a", "kwcanary-2").await;
    let version = first.rsplit('/').next().unwrap();
    let change = json!({"attributes": {"exp": 1_999_999_999, "nbf": 1}, "tags": {"k": "v"}, "contentType": "text/x"});
    let changed = raw.send(Method::PATCH, &format!("/secrets/a/{version}"), Some(change)).await.body;
    assert!(changed.get("value").is_none());
    assert_eq!(changed["attributes"]["exp"], 1_999_999_999);
    assert_eq!((&changed["tags"]["k"], &changed["contentType"]), (&json!("v"), &json!("text/x")));
    let current = raw.get("/secrets/a").await.body;
    assert!(current["attributes"].get("exp").is_none() && current.get("tags").is_none());
}
