//! Counts, faults and the clock, from this process and over the control port.

use keyward_tests::vault::{CallCount, Emulator, Rule};
use reqwest::{Client, Method, StatusCode, header};
use serde_json::{Value, json};

use super::support::{Raw, count, empty, emulator, http};

const VAULT: &str = "vaults: {acme: {secrets: {a: {value: kwcanary}, b: {value: kwcanary}}}}";

/// The control port as people use it: curl sends no JSON content type.
async fn control(client: &Client, emulator: &Emulator, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
    let request = client.request(method, format!("{}{path}", emulator.http_url())).body(body.to_owned());
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

#[tokio::test]
async fn every_call_is_counted_by_vault_operation_object_and_status() {
    let emulator = emulator(VAULT).await;
    let raw = Raw::new(&emulator, "acme").await;
    emulator.reset_calls();
    for path in ["/secrets/a", "/secrets/A", "/secrets/none", "/secrets"] {
        raw.get(path).await;
    }
    http(&emulator).get(format!("{}/secrets/a", emulator.vault_url("acme"))).send().await.unwrap();
    let row = |operation: &str, object: &str, status, count| CallCount {
        vault: "acme".into(),
        operation: operation.into(),
        object: object.into(),
        status,
        count,
    };
    let expected = [
        row("SecretGet", "a", 200, 2),
        row("SecretGet", "a", 401, 1),
        row("SecretGet", "none", 404, 1),
        row("SecretList", "", 200, 1),
    ];
    assert_eq!(emulator.calls().rows(), expected);

    let client = http(&emulator);
    let (_, rows) = control(&client, &emulator, Method::GET, "/calls", "").await;
    assert_eq!(serde_json::from_value::<Vec<CallCount>>(rows).unwrap(), expected);
    control(&client, &emulator, Method::DELETE, "/calls", "").await;
    assert_eq!(emulator.calls().total(), 0);
}

#[tokio::test]
async fn throttling_strikes_as_often_as_armed_with_and_without_a_pause() {
    let emulator = emulator(VAULT).await;
    let raw = Raw::new(&emulator, "acme").await;
    emulator.faults().arm(Rule::throttle(1, Some(7)).object("a")).unwrap();
    emulator.faults().arm(Rule::throttle(1, None).operation("SecretGet")).unwrap();
    let first = raw.get("/secrets/a").await;
    assert_eq!((first.status, first.error().0), (StatusCode::TOO_MANY_REQUESTS, "Throttled"));
    assert_eq!(first.headers[header::RETRY_AFTER], "7");
    assert_eq!(raw.get("/secrets").await.status, StatusCode::OK);
    let second = raw.get("/secrets/b").await;
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!second.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(raw.get("/secrets/b").await.status, StatusCode::OK);
    assert_eq!(count(&emulator, "SecretGet", 429), 2);
}

#[tokio::test]
async fn a_challenge_probe_uses_up_no_fault() {
    let emulator = emulator(VAULT).await;
    let raw = Raw::new(&emulator, "acme").await;
    emulator.faults().arm(Rule::forbid(1, "ForbiddenByPolicy")).unwrap();
    let url = format!("{}/secrets/a?api-version=7.6", emulator.vault_url("acme"));
    assert_eq!(http(&emulator).get(url).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let struck = raw.get("/secrets/a").await;
    assert_eq!((struck.status, struck.error()), (StatusCode::FORBIDDEN, ("Forbidden", Some("ForbiddenByPolicy"))));
}

#[tokio::test]
async fn faults_are_armed_shown_and_cleared_over_the_control_port() {
    let emulator = emulator(VAULT).await;
    let raw = Raw::new(&emulator, "acme").await;
    let client = http(&emulator);
    let rule = r#"{"vault": "acme", "times": 2, "fault": {"status": {"code": 503, "retryAfter": 1}}}"#;
    let (status, armed) = control(&client, &emulator, Method::POST, "/faults", rule).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let (_, shown) = control(&client, &emulator, Method::GET, "/faults", "").await;
    assert_eq!((&shown["rules"][0]["times"], &shown["rules"][0]["struck"]), (&json!(1), &json!(1)));
    assert_eq!(shown["rules"][0]["id"], armed["id"]);
    control(&client, &emulator, Method::DELETE, "/faults", "").await;
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
    let (status, _) = control(&client, &emulator, Method::POST, "/faults", r#"{"fault": {"explode": {}}}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_held_call_is_answered_after_its_release() {
    let emulator = emulator(VAULT).await;
    let raw = Raw::new(&emulator, "acme").await;
    let gate = emulator.faults().gate("door");
    emulator.faults().arm(Rule::hold("door").operation("SecretGet")).unwrap();
    let release = async {
        gate.arrived(1).await;
        assert_eq!(count(&emulator, "SecretGet", 200), 0, "the call is still under way");
        let client = http(&emulator);
        control(&client, &emulator, Method::POST, "/faults/gates/door/release", "").await;
    };
    let (held, ()) = tokio::join!(raw.get("/secrets/a"), release);
    assert_eq!(held.status, StatusCode::OK);
    assert_eq!(count(&emulator, "SecretGet", 200), 1);
}

#[tokio::test]
async fn the_token_endpoint_has_faults_too() {
    let emulator = empty().await;
    emulator.faults().arm(Rule::throttle(1, Some(3)).vault("entra")).unwrap();
    let (status, body) = super::support::ask_token(&emulator, &[("client_id", "x")]).await;
    assert_eq!((status, &body["error"]), (StatusCode::TOO_MANY_REQUESTS, &json!("temporarily_unavailable")));
    assert_eq!(count(&emulator, "Token", 429), 1);
}

#[tokio::test]
async fn the_clock_stamps_objects_and_answers() {
    let emulator = empty().await;
    let raw = Raw::new(&emulator, "acme").await;
    let client = http(&emulator);
    control(&client, &emulator, Method::PUT, "/clock", r#"{"now": 784111777}"#).await;
    let set = raw.set("a", "kwcanary").await;
    assert_eq!(
        (&set["attributes"]["created"], &set["attributes"]["updated"]),
        (&json!(784_111_777), &json!(784_111_777))
    );
    emulator.clock().advance(std::time::Duration::from_secs(60));
    let changed = raw.send(Method::PATCH, "/secrets/a/", Some(json!({"tags": {"k": "v"}}))).await;
    assert_eq!(changed.body["attributes"]["created"], 784_111_777);
    assert_eq!(changed.body["attributes"]["updated"], 784_111_837);
    assert_eq!(changed.headers[header::DATE], "Sun, 06 Nov 1994 08:50:37 GMT");
    let (_, now) = control(&client, &emulator, Method::PUT, "/clock", "{}").await;
    assert!(now["now"].as_i64().unwrap() > 1_000_000_000);
}

#[tokio::test]
async fn it_is_healthy_while_it_serves_and_gone_after_a_shutdown() {
    let emulator = empty().await;
    let client = http(&emulator);
    let health = format!("{}/healthz", emulator.http_url());
    assert_eq!(client.get(&health).send().await.unwrap().status(), StatusCode::OK);
    let ca = client.get(format!("{}/ca.pem", emulator.http_url())).send().await.unwrap().text().await.unwrap();
    assert_eq!(ca, emulator.ca_pem());

    let raw = Raw::new(&emulator, "acme").await;
    emulator.store("acme").unwrap().set_secret("a", "kwcanary").unwrap();
    emulator.faults().arm(Rule::hold("shut")).unwrap();
    let gate = emulator.faults().gate("shut");
    let end = async {
        gate.arrived(1).await;
        emulator.shutdown().await;
    };
    let (held, ()) = tokio::join!(raw.get("/secrets/a"), end);
    assert_eq!(held.status, StatusCode::OK, "a held call is let go, not cut off");
    assert!(client.get(&health).send().await.is_err());
}
