//! Faults below HTTP, and bodies that are not what the headers say: what a client sees of them on its socket.

use std::io::ErrorKind;
use std::time::Duration;

use keyward_tests::vault::{BodyFault, CLIENT_GONE, Emulator, Fault, Rule};
use reqwest::{StatusCode, header};

use super::socket::Socket;
use super::support::{CLIENT, Raw, count, emulator, http};

async fn acme() -> Emulator {
    emulator("vaults: {acme: {secrets: {a: {value: kwcanary-value}}}, partner: {secrets: {a: {value: kwcanary}}}}")
        .await
}

/// Waits for what another task is about to do.
async fn eventually(what: &str, is: impl Fn() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn a_reset_connection_ends_without_a_byte_of_the_answer() {
    let emulator = acme().await;
    emulator.faults().arm(Rule::reset(1).vault("acme")).unwrap();
    let mut socket = Socket::get(&emulator, "acme", "/secrets/a").await;
    assert_eq!(socket.end().await.kind(), ErrorKind::ConnectionReset);
    assert_eq!(socket.text(), "");
    let mut socket = Socket::get(&emulator, "acme", "/secrets/a").await;
    assert_eq!(socket.status_line().await, "HTTP/1.1 200 OK", "the next call is served");
    let calls = emulator.calls();
    let reset = calls.log().iter().find(|call| call.operation == "SecretGet").unwrap();
    assert_eq!((reset.status, reset.client.as_deref()), (None, Some(CLIENT)));
    assert_eq!(count(&emulator, "SecretGet", CLIENT_GONE), 1);
}

#[tokio::test]
async fn a_hung_call_is_silent_and_answered_once_its_rule_is_lifted() {
    let emulator = acme().await;
    let id = emulator.faults().arm(Rule::hang(1).vault("acme")).unwrap();
    let mut socket = Socket::get(&emulator, "acme", "/secrets/a").await;
    assert!(socket.is_silent().await);
    let calls = emulator.calls();
    let hung = calls.log().last().unwrap();
    assert_eq!((hung.operation.as_str(), hung.status), ("SecretGet", None), "the log has it while it hangs");
    assert!(emulator.faults().lift(id), "a spent rule still holds what it struck");
    assert_eq!(socket.status_line().await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_hung_call_ends_with_its_client() {
    let emulator = acme().await;
    emulator.faults().arm(Rule::hang(1).vault("acme")).unwrap();
    let mut socket = Socket::get(&emulator, "acme", "/secrets/a").await;
    assert!(socket.is_silent().await);
    drop(socket);
    eventually("the call is counted as unanswered", || count(&emulator, "SecretGet", CLIENT_GONE) == 1).await;
    assert_eq!(emulator.calls().log().last().unwrap().status, None);
}

#[tokio::test]
async fn a_half_open_answer_stops_after_its_headers_and_some_bytes() {
    let emulator = acme().await;
    let id = emulator.faults().arm(Rule::body(1, BodyFault::HalfOpen { bytes: 11 }).vault("acme")).unwrap();
    let mut socket = Socket::get(&emulator, "acme", "/secrets/a").await;
    assert_eq!(socket.status_line().await, "HTTP/1.1 200 OK");
    socket.body_of(11).await;
    assert!(socket.is_silent().await);
    emulator.faults().lift(id);
    let length = socket.content_length();
    let whole = socket.body_of(length).await;
    assert!(serde_json::from_str::<serde_json::Value>(&whole).is_ok(), "lifting the rule sends the rest");
}

#[tokio::test]
async fn a_truncated_answer_ends_before_its_content_length() {
    let emulator = acme().await;
    emulator.faults().arm(Rule::body(2, BodyFault::Truncated { bytes: 11 }).vault("acme")).unwrap();
    let mut socket = Socket::get(&emulator, "acme", "/secrets/a").await;
    assert_eq!(socket.end().await.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(socket.body().len(), 11);
    assert!(socket.content_length() > 11);

    let raw = Raw::new(&emulator, "acme").await;
    let error = raw.try_get("/secrets/a").await.unwrap().bytes().await.unwrap_err();
    assert!(error.is_body() || error.is_decode(), "a client's library sees it too: {error}");
}

#[tokio::test]
async fn an_oversize_answer_has_as_many_bytes_as_the_rule_says_and_may_not_tell() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    for chunked in [false, true] {
        emulator.faults().arm(Rule::body(1, BodyFault::Oversize { bytes: 1_000_000, chunked })).unwrap();
        let answer = raw.try_get("/secrets/a").await.unwrap();
        assert_eq!(answer.headers().contains_key(header::CONTENT_LENGTH), !chunked);
        let body = answer.bytes().await.unwrap();
        assert_eq!(body.len(), 1_000_000);
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["value"], "kwcanary-value", "only its size is wrong");
    }
}

#[tokio::test]
async fn an_answer_of_html_comes_with_the_status_the_rule_says() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    for code in [200, 404] {
        emulator.faults().arm(Rule::next(1, Fault::Html { code })).unwrap();
        let answer = raw.try_get("/secrets/a").await.unwrap();
        assert_eq!(answer.status().as_u16(), code);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(answer.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    }
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_outage_spares_nobody_but_other_vaults_until_it_is_lifted() {
    let emulator = acme().await;
    let raw = Raw::new(&emulator, "acme").await;
    let partner = Raw::new(&emulator, "partner").await;
    let id = emulator.faults().arm(Rule::outage("acme")).unwrap();
    for _ in 0..3 {
        assert!(raw.try_get("/secrets/a").await.is_err());
    }
    let probe = http(&emulator).get(format!("{}/secrets/a?api-version=7.6", emulator.vault_url("acme")));
    assert!(probe.send().await.is_err(), "nor is a call without a token challenged");
    assert_eq!(partner.get("/secrets/a").await.status, StatusCode::OK);
    assert_eq!(emulator.faults().struck(id), Some(4));
    emulator.faults().lift(id);
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_token_endpoints_can_be_down_in_every_way() {
    let emulator = acme().await;
    let client = http(&emulator);
    let endpoints = emulator.endpoints();
    let entra = format!("{}/{}/oauth2/v2.0/token", emulator.authority(), super::support::TENANT);
    let imds = format!("{}/metadata/identity/oauth2/token", endpoints.http);
    for (endpoint, url) in [("entra", &entra), ("imds", &imds), ("appservice", &endpoints.identity_endpoint)] {
        let request = || if endpoint == "entra" { client.post(url) } else { client.get(url) };
        let ask = || request().send();
        let arm = |rule: Rule| emulator.faults().arm(rule.vault(endpoint)).unwrap();
        arm(Rule::status(1, 503));
        assert_eq!(ask().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE, "{endpoint}");
        let reset = arm(Rule::outage(endpoint));
        let error = ask().await.unwrap_err();
        assert!(!error.is_timeout() && !error.is_status(), "{endpoint}: {error}");
        assert!(emulator.faults().lift(reset));
        let hang = arm(Rule::hang(1));
        let given_up = request().timeout(Duration::from_millis(200)).send().await;
        assert!(given_up.unwrap_err().is_timeout(), "{endpoint}");
        assert_eq!(emulator.faults().struck(hang), Some(1), "{endpoint}: it was read, and not answered");
        let status = ask().await.unwrap().status();
        assert!(status.is_client_error(), "{endpoint}: the last call is refused for what it lacks: {status}");
    }
}
