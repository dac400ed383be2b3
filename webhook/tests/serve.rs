//! The webhook's own process: what it says, what it answers, and how it ends.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, net::SocketAddr, path::Path};

use keyward_tests::{
    api::{ApiServer, Resource},
    ca::TestCa,
    process::{Process, Signal},
};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// A webhook, the API server it reads, and nothing else: the broker is away.
struct World {
    api: ApiServer,
    ca: TestCa,
    files: TempDir,
}

impl World {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let files = tempfile::tempdir().unwrap();
        let api = ApiServer::start().await.unwrap();
        fs::write(files.path().join("kubeconfig"), api.kubeconfig("keyward")).unwrap();
        fs::create_dir(files.path().join("tls")).unwrap();
        Self { api, ca: TestCa::new("test").unwrap(), files }
    }

    fn path(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    fn certificates(&self) {
        self.ca.issue_server(&["localhost"]).unwrap().write_dir(Path::new(&self.path("tls"))).unwrap();
    }

    fn start(&self, more: &[(&str, &str)]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward-webhook"));
        command.env_clear().envs([
            ("KUBECONFIG", self.path("kubeconfig").as_str()),
            ("KEYWARD_TLS_DIR", self.path("tls").as_str()),
            ("KEYWARD_LISTEN", "127.0.0.1:0"),
            ("KEYWARD_ADMIN_LISTEN", "127.0.0.1:0"),
            ("KEYWARD_LOG_FORMAT", "json"),
            // Nobody listens there.
            ("KEYWARD_BROKER", "https://127.0.0.1:1"),
            ("KEYWARD_LAUNCHER_IMAGE", "registry.example/keyward-launcher:1"),
        ]);
        Process::spawn("keyward-webhook", command.envs(more.iter().copied())).unwrap()
    }

    fn client(&self) -> Client {
        let ca = reqwest::Certificate::from_pem(self.ca.cert_pem().as_bytes()).unwrap();
        Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap()
    }

    async fn review(&self, server: SocketAddr, pod: Value) -> Value {
        let request = json!({ "uid": "7a", "operation": "CREATE", "namespace": "shop", "object": pod,
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" } });
        let review = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request });
        let url = format!("https://localhost:{}/pods?timeout=10s", server.port());
        let answer = self.client().post(url).json(&review).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let mut answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["response"]["uid"], "7a");
        answer["response"].take()
    }
}

/// Where it serves pods, and where its admin port is.
async fn addresses(process: &Process) -> (SocketAddr, SocketAddr) {
    let serving = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let address = |field: &str| line[field].as_str()?.parse::<SocketAddr>().ok();
        Some((address("server")?, address("admin")?))
    };
    process.line("where it serves", serving).await.unwrap()
}

async fn told(admin: SocketAddr, path: &str) -> (StatusCode, String) {
    let client = Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{admin}{path}")).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

fn pod(environment: &Value) -> Value {
    let container = json!({ "name": "web", "image": "web:1", "command": ["/web"], "env": environment["env"],
        "envFrom": environment["envFrom"] });
    json!({ "metadata": { "name": "web" }, "spec": { "containers": [container] } })
}

#[tokio::test]
async fn pods_are_reviewed_while_the_broker_is_away_and_the_signal_ends_it_cleanly() {
    let world = World::new().await;
    world.certificates();
    let metadata = json!({ "namespace": "shop", "name": "settings" });
    world.api.put(Resource::CONFIG_MAPS, json!({ "metadata": metadata, "data": { "DB": "db@azurekeyvault" } }));
    let process = world.start(&[]);
    let (server, admin) = addresses(&process).await;
    assert_eq!(told(admin, "/readyz").await, (StatusCode::OK, "ready\n".to_owned()));

    let plain = world.review(server, pod(&json!({ "env": [{ "name": "A", "value": "b" }] }))).await;
    assert_eq!((&plain["allowed"], &plain["patch"]), (&json!(true), &Value::Null));
    let hidden = pod(&json!({ "envFrom": [{ "configMapRef": { "name": "settings" } }] }));
    let injected = world.review(server, hidden.clone()).await;
    assert!(injected["allowed"] == json!(true) && injected["patch"].is_string(), "{injected}");
    world.api.forbid(Resource::CONFIG_MAPS);
    let refused = world.review(server, hidden).await;
    let message = refused["status"]["message"].as_str().unwrap();
    assert!(refused["allowed"] == json!(false) && message.contains("the right to `get` `configmaps`"), "{refused}");

    let (_, metrics) = told(admin, "/metrics").await;
    for line in [
        "keyward_admission_reviews_total{outcome=\"unchanged\"} 1",
        "keyward_admission_reviews_total{outcome=\"injected\"} 1",
        "keyward_admission_reviews_total{outcome=\"failed\"} 1",
        "keyward_admission_reference_checks_total{outcome=\"failed\"} 1",
        "keyward_admission_broker_address_known 1",
        "keyward_connections_total{outcome=\"accepted\"} 3",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    for labels in ["{certificate=\"server\"}", "{certificate=\"ca-0\"}"] {
        assert!(metrics.contains(&format!("keyward_certificate_expiry_timestamp_seconds{labels}")), "{metrics}");
    }

    process.signal(Signal::TERM).unwrap();
    process.line("that it shuts down", |line| line.contains("shutting down").then_some(())).await.unwrap();
    // Whoever does not know yet that it goes is served.
    let last = world.review(server, pod(&json!({}))).await;
    assert_eq!(last["allowed"], true);
    assert_eq!(told(admin, "/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned()));
    assert!(process.finish().await.unwrap().status.success());
}

#[tokio::test]
async fn without_certificates_it_is_not_ready_and_says_what_it_waits_for() {
    let world = World::new().await;
    let process = world.start(&[]);
    let (_, admin) = addresses(&process).await;
    let expected = "waiting for: certificates, client certificates\n".to_owned();
    assert_eq!(told(admin, "/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, expected));
    assert_eq!(told(admin, "/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_cannot_work_ends_the_start_and_names_the_flag() {
    let world = World::new().await;
    for (variable, value, said) in [
        ("KEYWARD_IMAGE_DEADLINE", "9s", "--image-deadline (9s) must be shorter than --review-deadline (9s)"),
        ("KEYWARD_LISTEN", "192.0.2.1:1", "cannot listen on 192.0.2.1:1 (--listen)"),
        ("KEYWARD_COPIER_CPU", "fast", "KEYWARD_COPIER_CPU"),
        ("KUBECONFIG", "/nowhere", "no way to the API server"),
    ] {
        let finished = world.start(&[(variable, value)]).finish().await.unwrap();
        assert!(!finished.status.success() && finished.stderr.contains(said), "{variable}: {}", finished.stderr);
    }
}
