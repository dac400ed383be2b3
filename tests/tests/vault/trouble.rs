//! Faults that a whole answer shows: statuses and pauses, time, chance, and callers that lost something.

use std::time::{Duration, Instant};

use keyward_tests::vault::{Emulator, Fault, Revocation, Rule};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::support::{CLIENT, CLIENT_SECRET, Raw, SCOPE, ask_token, count, emulator, http};

async fn acme() -> Emulator {
    emulator("vaults: {acme: {secrets: {a: {value: kwcanary}, b: {value: kwcanary}}}}").await
}

/// Asks for a token as the one identity that there is.
async fn sign_in(emulator: &Emulator) -> (u16, Value) {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_secret", CLIENT_SECRET),
        ("scope", SCOPE),
    ];
    let (status, body) = ask_token(emulator, &fields).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn a_pause_may_be_asked_for_until_a_date() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    emulator.clock().stop_at(784_111_717);
    emulator.faults().arm(Rule::throttle_until(1, 60)).unwrap();
    let throttled = raw.get("/secrets/a").await;
    assert_eq!(throttled.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(throttled.headers[header::RETRY_AFTER], "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(throttled.headers[header::DATE], "Sun, 06 Nov 1994 08:48:37 GMT");
}

#[tokio::test]
async fn any_status_carries_the_pause_and_the_reason_that_its_rule_names() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    for (code, error) in [
        (429, "Throttled"),
        (403, "Forbidden"),
        (401, "Unauthorized"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailable"),
    ] {
        let fault = json!({"status": {"code": code, "retryAfter": 3, "inner": "Because"}});
        emulator.faults().arm(Rule::next(1, serde_json::from_value(fault).unwrap())).unwrap();
        let answer = raw.get("/secrets/a").await;
        assert_eq!((answer.status.as_u16(), answer.error()), (code, (error, Some("Because"))));
        assert_eq!(answer.headers[header::RETRY_AFTER], "3", "{code}");
        assert_eq!(answer.headers.contains_key(header::WWW_AUTHENTICATE), code == 401, "{code}");
    }
}

#[tokio::test]
async fn a_call_takes_as_long_as_its_rule_says() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    for fault in [Fault::Delay { millis: 120 }, Fault::Latency { from_millis: 120, to_millis: 130 }] {
        emulator.faults().arm(Rule::next(1, fault.clone())).unwrap();
        let began = Instant::now();
        assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
        assert!(began.elapsed() >= Duration::from_millis(120), "{fault:?}");
    }
}

#[tokio::test]
async fn the_same_seed_strikes_the_same_calls_twice() {
    let sequence = async |seed| {
        let emulator = acme().await;
        let raw = Raw::new(&emulator, "acme").await;
        emulator.faults().arm(Rule::status(1, 503).until_lifted().chance(0.5).seed(seed)).unwrap();
        let mut struck = Vec::new();
        for _ in 0..40 {
            struck.push(raw.get("/secrets/a").await.status == StatusCode::SERVICE_UNAVAILABLE);
        }
        struck
    };
    let first = sequence(11).await;
    assert!(first.contains(&true) && first.contains(&false));
    assert_eq!(first, sequence(11).await);
    assert_ne!(first, sequence(12).await);
}

#[tokio::test]
async fn revoked_rights_are_refused_by_vaults_while_tokens_are_still_given() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    let other = emulator.faults().arm(Rule::revoked(Revocation::Rights).client("somebody-else")).unwrap();
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
    let id = emulator.faults().arm(Rule::revoked(Revocation::Rights).client(CLIENT)).unwrap();
    for _ in 0..3 {
        assert_eq!(raw.get("/secrets/a").await.error(), ("Forbidden", Some("ForbiddenByRbac")));
    }
    assert_eq!(sign_in(&emulator).await.0, 200);
    assert_eq!((emulator.faults().struck(other), emulator.faults().struck(id)), (Some(0), Some(3)));
    emulator.faults().lift(id);
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_identity_is_unknown_everywhere_until_that_is_lifted() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    let id = emulator.faults().arm(Rule::revoked(Revocation::Identity).client(CLIENT)).unwrap();
    let refused = raw.get("/secrets/a").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.headers.contains_key(header::WWW_AUTHENTICATE));
    let (status, body) = sign_in(&emulator).await;
    assert_eq!((status, &body["error"], &body["error_codes"]), (400, &json!("unauthorized_client"), &json!([700_016])));
    let imds = format!(
        "{}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net",
        emulator.http_url()
    );
    let ask = async || http(&emulator).get(&imds).header("metadata", "true").send().await.unwrap().status();
    assert_eq!(ask().await, StatusCode::BAD_REQUEST);
    emulator.faults().lift(id);
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
    assert_eq!((sign_in(&emulator).await.0, ask().await), (200, StatusCode::OK));
}

#[tokio::test]
async fn a_revoked_credential_gets_no_more_tokens_and_old_ones_hold() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    emulator.faults().arm(Rule::revoked(Revocation::Credential).client(CLIENT)).unwrap();
    let (status, body) = sign_in(&emulator).await;
    assert_eq!((status, &body["error"], &body["error_codes"]), (401, &json!("invalid_client"), &json!([7_000_222])));
    assert!(!body.to_string().contains(CLIENT_SECRET));
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
    emulator.faults().clear();
    assert_eq!(sign_in(&emulator).await.0, 200);
}

#[tokio::test]
async fn the_log_proves_that_no_call_came_within_a_pause() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    raw.get("/secrets/a").await;
    let pause = Instant::now();
    let end = pause + Duration::from_millis(20);
    tokio::time::sleep_until(end.into()).await;
    raw.get("/secrets/b").await;
    let calls = emulator.calls();
    assert_eq!(calls.forgotten(), 0);
    let of_vault: Vec<_> = calls.log().iter().filter(|call| call.vault == "acme").collect();
    assert_eq!(of_vault.iter().map(|call| call.object.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(of_vault.iter().all(|call| call.status == Some(200) && call.client.as_deref() == Some(CLIENT)));
    assert!(!of_vault.iter().any(|call| (pause..end).contains(&call.at)));
}

#[tokio::test]
async fn a_skewed_clock_stamps_answers_and_objects_until_it_is_set_back() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    let unskewed = raw.set("a", "kwcanary-2").await["attributes"]["updated"].as_i64().unwrap();
    emulator.clock().skew(-600);
    let set = raw.send(Method::PUT, "/secrets/a", Some(json!({"value": "kwcanary-3"}))).await;
    let behind = unskewed - set.body["attributes"]["updated"].as_i64().unwrap();
    assert!((580..=600).contains(&behind), "{behind}");
    emulator.clock().follow_system();
    assert!(raw.set("a", "kwcanary-4").await["attributes"]["updated"].as_i64().unwrap() >= unskewed);
}

#[tokio::test]
async fn rules_are_shown_and_lifted_by_id_name_and_vault_over_the_control_port() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    let client = http(&emulator);
    let send = async |method: Method, path: &str, body: &'static str| {
        let response =
            client.request(method, format!("{}{path}", emulator.http_url())).body(body).send().await.unwrap();
        (
            response.status().as_u16(),
            serde_json::from_slice::<Value>(&response.bytes().await.unwrap()).unwrap_or_default(),
        )
    };
    let outage = r#"{"vault": "acme", "name": "outage", "untilLifted": true, "unauthenticated": true,
                     "fault": {"status": {"code": 503}}}"#;
    let (_, armed) = send(Method::POST, "/faults", outage).await;
    for path in [format!("/faults/{}", armed["id"]), "/faults/outage".into(), "/faults?vault=acme".into()] {
        send(Method::POST, "/faults", outage).await;
        assert_eq!(raw.get("/secrets/a").await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(send(Method::DELETE, &path, "").await.0, 204, "{path}");
        send(Method::DELETE, "/faults/outage", "").await;
        assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK, "{path}");
    }
    send(Method::POST, "/faults", r#"{"name": "once", "fault": "reset"}"#).await;
    assert!(raw.try_get("/secrets/a").await.is_err());
    let (_, shown) = send(Method::GET, "/faults/once", "").await;
    assert_eq!((&shown[0]["struck"], &shown[0]["times"], &shown[0]["fault"]), (&json!(1), &json!(0), &json!("reset")));
    assert_eq!(send(Method::GET, "/faults/none", "").await.0, 404);
    assert_eq!(send(Method::DELETE, "/faults/none", "").await.0, 404);
    assert_eq!(send(Method::POST, "/faults", r#"{"chance": 2, "fault": "reset"}"#).await.0, 400);
    let (_, log) = send(Method::GET, "/calls/log", "").await;
    let last = log["calls"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["operation"], &last["client"], &last["status"]),
        (&json!("SecretGet"), &json!(CLIENT), &Value::Null)
    );
    assert!(last["sinceStartMicros"].is_u64());
    assert_eq!(send(Method::PUT, "/clock", r#"{"skewSeconds": -60}"#).await.0, 200);
    assert_eq!(send(Method::PUT, "/clock", r#"{"skewSeconds": -60, "now": 5}"#).await.0, 400);
    assert_eq!(count(&emulator, "SecretGet", 503), 3);
}
