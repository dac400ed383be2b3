//! A served webhook, asked over TLS.

use std::{future::pending, net::SocketAddr, path::Path};

use keyward_kit::{
    http1::{self, Times},
    tls::{self, Alpn, ServerTls, incoming},
};
use keyward_tests::ca::TestCa;
use prometheus_client::registry::Registry;
use reqwest::{Client, ClientBuilder, Version};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use super::*;

const LONG: Duration = Duration::from_secs(60);
const TIMES: Times = Times { idle: LONG, age: LONG, linger: Duration::ZERO };
const LIMITS: tls::Limits = tls::Limits { max_connections: 16, max_per_peer: 16, handshake_timeout: LONG };

/// Decides by the review's text.
#[derive(Default)]
struct Script {
    began: Notify,
    go: Notify,
}

#[async_trait]
impl Admit for Script {
    async fn admit(&self, review: &[u8]) -> Result<Answer, BadReview> {
        let review: Value = serde_json::from_slice(review).map_err(|_| BadReview("it is no JSON".to_owned()))?;
        match review["request"]["name"].as_str() {
            Some("slow") => {
                self.began.notify_one();
                self.go.notified().await;
            }
            Some("never") => pending().await,
            _ => {}
        }
        let uid = &review["request"]["uid"];
        let body = json!({ "response": { "uid": uid, "allowed": true } }).to_string().into();
        Ok(Answer { outcome: Outcome::Unchanged, body })
    }
}

/// A webhook at work.
struct Served {
    ca: TestCa,
    dir: TempDir,
    tls: ServerTls,
    address: SocketAddr,
    script: Arc<Script>,
    stop: CancellationToken,
}

impl Served {
    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// A client of its own, so a connection of its own.
    fn client(&self, more: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
        let ca = reqwest::Certificate::from_pem(self.ca.cert_pem().as_bytes()).unwrap();
        more(Client::builder().tls_certs_only([ca]).no_proxy().http1_only()).build().unwrap()
    }

    async fn post(&self, body: impl Into<reqwest::Body>) -> (StatusCode, String) {
        let client = self.client(|client| client);
        let request = client.post(self.url("/pods?timeout=10s")).header(CONTENT_TYPE, "application/json").body(body);
        answer(request).await.unwrap()
    }
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<(StatusCode, String)> {
    let response = request.send().await?;
    Ok((response.status(), response.text().await?))
}

fn review(name: &str) -> String {
    json!({ "kind": "AdmissionReview", "request": { "uid": "7a", "name": name } }).to_string()
}

fn issue(ca: &TestCa, dir: &Path) {
    ca.issue_server(&["localhost"]).unwrap().write_dir(dir).unwrap();
}

/// Serves while `client` runs; returns what was counted.
async fn beside(limits: Limits, client: impl AsyncFnOnce(&Served)) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = TestCa::new("test").unwrap();
    let dir = tempfile::tempdir().unwrap();
    issue(&ca, dir.path());
    let tls = ServerTls::load(dir.path(), Alpn::Http11).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (script, stop) = (Arc::new(Script::default()), CancellationToken::new());
    let mut registry = Registry::with_prefix(crate::metrics::PREFIX);
    let router = router(Arc::clone(&script) as _, limits, Metrics::new(&mut registry));
    let connections = incoming(listener, tls.clone(), LIMITS, CancellationToken::new());
    let serving = http1::serve(connections, router, TIMES, stop.clone());
    let served = Served { ca, dir, tls, address, script, stop };
    let client = Box::pin(async {
        client(&served).await;
        served.stop.cancel();
    });
    let both = Box::pin(async { tokio::join!(serving, client) });
    timeout(LONG, both).await.unwrap().0.unwrap();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

fn limits() -> Limits {
    Limits::within(LONG)
}

#[tokio::test]
async fn a_review_is_answered_over_http_1_1_and_counted() {
    let counted = beside(limits(), async |served| {
        let client = served.client(|client| client);
        for _ in 0..3 {
            let request = client.post(served.url("/pods")).header(CONTENT_TYPE, "application/json; charset=utf-8");
            let response = request.body(review("web")).send().await.unwrap();
            assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_11));
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            assert_eq!(response.json::<Value>().await.unwrap()["response"]["uid"], "7a");
        }
    })
    .await;
    assert!(counted.contains("keyward_admission_reviews_total{outcome=\"unchanged\"} 3\n"), "{counted}");
    assert!(counted.contains("keyward_admission_duration_seconds_count 3\n"), "{counted}");
}

#[tokio::test]
async fn who_offers_http_2_alone_is_refused() {
    beside(limits(), async |served| {
        let client = served.client(ClientBuilder::http2_prior_knowledge);
        let refused = answer(client.post(served.url("/pods")).body(review("web"))).await.unwrap_err();
        assert!(refused.is_connect(), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn other_paths_methods_and_media_types_are_refused() {
    let counted = beside(limits(), async |served| {
        let client = served.client(|client| client);
        let code = async |request: reqwest::RequestBuilder| answer(request.body(review("web"))).await.unwrap().0;
        for path in ["/", "/pod", "/pods/", "/metrics"] {
            assert_eq!(code(client.post(served.url(path))).await, StatusCode::NOT_FOUND, "{path}");
        }
        for method in [http::Method::GET, http::Method::PUT, http::Method::DELETE] {
            assert_eq!(code(client.request(method, served.url("/pods"))).await, StatusCode::METHOD_NOT_ALLOWED);
        }
        for media in ["", "text/plain", "application/yaml", "application/json-patch+json"] {
            let request = client.post(served.url("/pods")).header(CONTENT_TYPE, media);
            assert_eq!(code(request).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{media}");
        }
    })
    .await;
    assert!(counted.contains("keyward_admission_reviews_total{outcome=\"failed\"} 4\n"), "{counted}");
}

#[tokio::test]
async fn a_body_that_is_no_review_is_told_what_is_missing() {
    beside(limits(), async |served| {
        let (code, text) = served.post("kwcanary").await;
        assert_eq!(code, StatusCode::BAD_REQUEST);
        assert_eq!(text, "no AdmissionReview of admission.k8s.io/v1 about a pod: it is no JSON\n");
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let limits = Limits { max_body: 100_000, ..limits() };
    beside(limits, async |served| {
        let exact = review(&"a".repeat(100_000 - review("").len()));
        assert_eq!(served.post(exact.clone()).await.0, StatusCode::OK);
        let (code, text) = served.post(exact + " ").await;
        assert_eq!((code, text.as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 100000 bytes\n"));
    })
    .await;
}

#[tokio::test]
async fn a_review_without_a_decision_in_time_is_denied_and_says_so() {
    let limits = Limits { review: Duration::from_millis(100), ..limits() };
    let counted = beside(limits, async |served| {
        let (code, text) = served.post(review("never")).await;
        assert_eq!(code, StatusCode::OK);
        let response = &serde_json::from_str::<Value>(&text).unwrap()["response"];
        assert_eq!((&response["uid"], &response["allowed"]), (&json!("7a"), &json!(false)));
        assert!(response["status"]["message"].as_str().unwrap().contains("within 100ms"), "{text}");
    })
    .await;
    assert!(counted.contains("keyward_admission_reviews_total{outcome=\"failed\"} 1\n"), "{counted}");
}

#[tokio::test]
async fn a_review_waits_until_others_leave_room_and_not_for_ever() {
    let one = review("slow").len();
    let limits = Limits { max_body: one, all_bodies: one, body: Duration::from_millis(300), ..limits() };
    beside(limits, async |served| {
        let first = served.post(review("slow"));
        let others = async {
            served.script.began.notified().await;
            let (code, text) = served.post(review("fast")).await;
            assert_eq!(code, StatusCode::TOO_MANY_REQUESTS, "{text}");
            served.script.go.notify_one();
        };
        assert_eq!(tokio::join!(first, others).0.0, StatusCode::OK);
        assert_eq!(served.post(review("fast")).await.0, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn a_review_in_hand_is_finished_when_the_webhook_ends() {
    beside(limits(), async |served| {
        let ending = async {
            served.script.began.notified().await;
            served.stop.cancel();
            // Nobody is taken any more.
            while let Ok(mut socket) = TcpStream::connect(served.address).await {
                let _ = socket.write_all(b"!").await;
                let _ = socket.read(&mut [0]).await;
            }
            served.script.go.notify_one();
        };
        let ((code, text), ()) = tokio::join!(served.post(review("slow")), ending);
        assert!(code == StatusCode::OK && text.contains("7a"), "{code} {text}");
    })
    .await;
}

#[tokio::test]
async fn a_swap_of_certificates_drops_no_call_and_new_connections_see_the_new_one() {
    beside(limits(), async |served| {
        let standing = served.client(|client| client);
        let ask = |client: &Client, name: &str| {
            let request = client.post(served.url("/pods")).header(CONTENT_TYPE, "application/json").body(review(name));
            answer(request)
        };
        assert_eq!(ask(&standing, "web").await.unwrap().0, StatusCode::OK);
        let swap = async {
            served.script.began.notified().await;
            let other = TestCa::new("other").unwrap();
            issue(&other, served.dir.path());
            assert!(served.tls.reload().unwrap());
            let stranger = ask(&served.client(|client| client), "web").await.unwrap_err();
            assert!(stranger.is_connect(), "{stranger:?}");
            let ca = reqwest::Certificate::from_pem(other.cert_pem().as_bytes()).unwrap();
            let new = Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
            assert_eq!(ask(&new, "web").await.unwrap().0, StatusCode::OK);
            served.script.go.notify_one();
        };
        let (slow, ()) = tokio::join!(ask(&standing, "slow"), swap);
        assert_eq!(slow.unwrap().0, StatusCode::OK);
        // It could not connect again: this is the connection of the beginning.
        assert_eq!(ask(&standing, "web").await.unwrap().0, StatusCode::OK);
    })
    .await;
}

#[test]
fn the_api_servers_own_timeout_counts_where_it_is_shorter() {
    let seconds = |query: &str| deadline(&format!("/pods{query}").parse().unwrap(), Duration::from_secs(9)).as_millis();
    for (query, expected) in [
        ("", 9_000),
        ("?timeout=10s", 9_000),
        ("?timeout=5s", 4_500),
        ("?a=b&timeout=1s", 900),
        ("?timeout=30s", 9_000),
        ("?timeout=0s", 9_000),
        ("?timeout=soon", 9_000),
    ] {
        assert_eq!(seconds(query), expected, "{query}");
    }
}
