//! Deliveries to the router: what is taken, what is refused, and what the poller is told.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, Bytes},
};
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::{
    proof::Proofs,
    server::{Limits, router},
    shared_keys::SharedKeys,
    testing::{KEY, Noted, keys},
    *,
};
use crate::{
    manifests,
    policy::{DefaultAccess, Snapshot, testing::defaults},
    rate::Rate,
};

const VAULT: &str = "apiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {name: test}\n\
                     spec: {vaultName: acme, namespaces: {names: [shop]}}\n";
const LIMITS: Limits =
    Limits { max_body: 4_096, at_a_time: 2, body: Duration::from_secs(10), rate: Rate { per_second: 1, burst: 8 } };

struct Grid {
    router: Router,
    noted: Arc<Noted>,
    registry: Registry,
    _keys: TempDir,
}

/// What was answered: status, headers of interest, body.
struct Answer(StatusCode, Response<()>, String);

impl Grid {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("keyward");
        let metrics = Arc::new(Metrics::new(&mut registry));
        let snapshot = Snapshot::build(defaults(DefaultAccess::Allow), manifests::read("f", VAULT));
        let (noted, dir) = (Arc::new(Noted::default()), keys(&[KEY]));
        let receiver = Receiver::new(Arc::new(Current::new(snapshot)), Arc::clone(&noted) as Arc<dyn Hinted>, metrics);
        let proofs = Proofs { keys: SharedKeys::load(dir.path()).ok(), entra: None };
        Self { router: router(receiver, proofs, LIMITS), noted, registry, _keys: dir }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer(head.status, Response::from_parts(head, ()), text)
    }

    async fn deliver(&self, media: &str, body: &Value) -> Answer {
        self.send(delivery(media, Body::from(body.to_string()))).await
    }

    /// Outcomes that were counted.
    fn counted(&self) -> Vec<(String, u64)> {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let samples = text.lines().filter_map(|line| line.strip_prefix("keyward_events_total{outcome=\""));
        let counts = samples.filter_map(|sample| sample.split_once("\"} "));
        let counts = counts.map(|(outcome, count)| (outcome.to_owned(), count.parse().unwrap()));
        let mut counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        counts.sort();
        counts
    }
}

fn delivery(media: &str, body: Body) -> Request<Body> {
    let request = Request::post("/events").header("keyward-key", KEY).header("content-type", media);
    request.body(body).unwrap()
}

fn event(id: &str, vault: &str) -> Value {
    json!({"id": id, "source": format!("/vaults/{vault}"), "subject": "db", "specversion": "1.0",
        "type": "Microsoft.KeyVault.SecretNewVersionCreated", "data": {"VaultName": vault, "ObjectName": "db"}})
}

fn one(outcome: &str) -> Vec<(String, u64)> {
    vec![(outcome.to_owned(), 1)]
}

#[tokio::test]
async fn every_media_type_of_event_grid_is_taken_and_each_event_once() {
    let grid = Grid::new();
    for (n, media) in [
        "application/cloudevents+json; charset=utf-8",
        "application/cloudevents-batch+json; charset=utf-8",
        "application/json; charset=utf-8",
        "Application/JSON",
    ]
    .into_iter()
    .enumerate()
    {
        for _ in 0..2 {
            let Answer(status, _, text) = grid.deliver(media, &event(&n.to_string(), "acme")).await;
            assert_eq!((status, &*text), (StatusCode::OK, ""), "{media}");
        }
        assert_eq!(grid.noted.take(), ["https://acme.vault.azure.net Object(ObjectName(\"db\"))"], "{media}");
    }
    assert_eq!(grid.counted(), [("duplicate".to_owned(), 4), ("hinted".to_owned(), 4)]);
}

#[tokio::test]
async fn events_of_other_vaults_and_of_no_interest_are_counted_and_come_to_nothing() {
    let grid = Grid::new();
    let mut other = event("2", "acme");
    other["type"] = json!("Microsoft.KeyVault.SecretDeleted");
    let body = json!([event("1", "unknown"), other, {"id": "3"}]);
    assert_eq!(grid.deliver("application/json", &body).await.0, StatusCode::OK);
    assert_eq!(grid.noted.take(), Vec::<String>::new());
    let expected = ["malformed", "other", "unknown_vault"].map(|outcome| (outcome.to_owned(), 1));
    assert_eq!(grid.counted(), expected);
}

#[tokio::test]
async fn nothing_is_looked_at_without_a_proof() {
    let bad = |method: Method, key: Option<&str>| {
        let request =
            Request::builder().method(method).uri("/events").header("webhook-request-origin", "eventgrid.azure.net");
        let request = key.into_iter().fold(request, |request, key| request.header("keyward-key", key));
        // Were it looked at, it would be refused otherwise.
        request.body(Body::from("no JSON")).unwrap()
    };
    for method in [Method::POST, Method::OPTIONS] {
        for key in [None, Some("kwcanary-another")] {
            let grid = Grid::new();
            let Answer(status, head, text) = grid.send(bad(method.clone(), key)).await;
            assert_eq!((status, &*text), (StatusCode::UNAUTHORIZED, "the delivery is not taken\n"), "{method}");
            assert_eq!(head.headers()["www-authenticate"], "Bearer");
            assert!(!head.headers().contains_key("webhook-allowed-origin"));
            assert_eq!(grid.counted(), one("unauthenticated"));
        }
    }
}

#[tokio::test]
async fn both_handshakes_are_answered() {
    let grid = Grid::new();
    let asked = json!([{"id": "v", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "c-1", "validationUrl": "https://localhost:1/never"}}]);
    let Answer(status, head, text) = grid.deliver("application/json", &asked).await;
    assert_eq!((status, &*text), (StatusCode::OK, r#"{"validationResponse":"c-1"}"#));
    assert_eq!(head.headers()["content-type"], "application/json");
    let request =
        Request::options(format!("/events?key={KEY}")).header("webhook-request-origin", "eventgrid.azure.net");
    let request = request.header("webhook-request-callback", "https://localhost:1/never");
    let Answer(status, head, _) = grid.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(head.headers()["webhook-allowed-origin"], "eventgrid.azure.net");
    assert_eq!(head.headers()["webhook-allowed-rate"], "60000");
    assert_eq!(grid.counted(), [("handshake".to_owned(), 2)]);
    let nobody = Request::options("/events").header("keyward-key", KEY).body(Body::empty()).unwrap();
    assert_eq!(grid.send(nobody).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_no_delivery_is_refused_for_good() {
    for (media, body, expected) in [
        ("text/plain", "[]".to_owned(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/json", "events".to_owned(), StatusCode::BAD_REQUEST),
        ("application/json", " ".repeat(LIMITS.max_body + 1), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let grid = Grid::new();
        assert_eq!(grid.send(delivery(media, Body::from(body))).await.0, expected);
        assert_eq!(grid.counted(), one("bad_request"));
    }
    let grid = Grid::new();
    let elsewhere = Request::post("/").header("keyward-key", KEY).body(Body::empty()).unwrap();
    assert_eq!(grid.send(elsewhere).await.0, StatusCode::NOT_FOUND);
    let read = Request::get("/events").header("keyward-key", KEY).body(Body::empty()).unwrap();
    assert_eq!(grid.send(read).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(start_paused = true)]
async fn slow_bodies_hold_their_places_for_a_while_and_are_told_to_come_again() {
    let grid = Grid::new();
    let never = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let slow = || grid.send(delivery("application/json", never()));
    let (first, second, third) = tokio::join!(slow(), slow(), slow());
    for Answer(status, head, _) in [first, second, third] {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(head.headers()["retry-after"], "1");
    }
    assert_eq!(grid.counted(), [("busy".to_owned(), 3)]);
    assert_eq!(grid.deliver("application/json", &event("1", "acme")).await.0, StatusCode::OK);
    assert_eq!(grid.noted.take().len(), 1);
}

#[tokio::test]
async fn more_deliveries_than_are_granted_are_told_to_come_again() {
    let grid = Grid::new();
    let mut last = None;
    for n in 0..=LIMITS.rate.burst {
        last = Some(grid.deliver("application/json", &event(&n.to_string(), "acme")).await);
    }
    let Some(Answer(status, head, _)) = last else { panic!("one was sent") };
    assert_eq!((status, &head.headers()["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap()));
    assert_eq!(grid.counted(), [("busy".to_owned(), 1), ("hinted".to_owned(), LIMITS.rate.burst.into())]);
}
