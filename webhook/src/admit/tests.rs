//! Reviews, decided with a scripted API server, a registry, and a small broker.

use std::{net::Ipv4Addr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_kit::tls::channel::Connection;
use keyward_proto::v1::{
    self, CheckRequest, CheckResponse, CheckedReference,
    references_server::{References, ReferencesServer},
};
use keyward_tests::{
    api::{ApiServer, Resource},
    ca::TestCa,
    registry::{Auth, FakeImage, FakeRegistry, Kind},
};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{
    Response, Status,
    transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

use super::*;
use crate::{image::ImagesConfig, metrics::Metrics, mutate::Unresolved};

const LONG: Duration = Duration::from_secs(30);

/// Knows what begins with `db`.
struct KnowsDb;

#[tonic::async_trait]
impl References for KnowsDb {
    async fn check(&self, request: tonic::Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let CheckRequest { namespace, references } = request.into_inner();
        let answer = |reference: String| {
            let known = reference.starts_with("db");
            let verdict = if known { v1::Verdict::Known } else { v1::Verdict::Unknown };
            let reason = if known { String::new() } else { format!("{namespace} has none") };
            CheckedReference { verdict: verdict.into(), reason }
        };
        Ok(Response::new(CheckResponse { references: references.into_iter().map(answer).collect() }))
    }
}

struct Scene {
    admission: Admission,
    api: ApiServer,
    registry: FakeRegistry,
    broker: JoinSet<()>,
    _dir: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = ApiServer::start().await.unwrap();
        let registry = FakeRegistry::start(None, Auth::Open).await.unwrap();
        let ca = TestCa::new("test").unwrap();
        let issued = ca.issue_server(&["localhost"]).unwrap();
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(&issued.cert_pem, &issued.key_pem))
            .client_ca_root(Certificate::from_pem(ca.cert_pem()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let mut broker = JoinSet::new();
        let serving = Server::builder().tls_config(tls).unwrap().add_service(ReferencesServer::new(KnowsDb));
        broker.spawn(async move { serving.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap() });
        let dir = tempfile::tempdir().unwrap();
        ca.issue_role("webhook", "cluster.local").unwrap().write_dir(dir.path()).unwrap();

        let mut config = kube::Config::new(api.url().parse().unwrap());
        config.default_retry = false;
        let cluster = Cluster::new(kube::Client::try_from(config).unwrap(), LONG);
        let settings = ImagesConfig { plain_http: vec![registry.host()], ..ImagesConfig::default() };
        let connection = Connection::new(&url, dir.path().to_owned()).unwrap();
        let admission = Admission {
            injection: Injection {
                broker: url.clone(),
                image: "launcher:1".to_owned(),
                pull_policy: "IfNotPresent".to_owned(),
                cpu: "100m".to_owned(),
                memory: "24Mi".to_owned(),
                deadline: None,
                unresolved: Unresolved::Warn,
            },
            may_opt_out: true,
            images: Images::new(settings, std::sync::Arc::new(cluster.clone()), None).unwrap(),
            cluster,
            broker: Broker::new(connection, LONG, Metrics::new(&mut Registry::default())),
            address: BrokerAddress::new(&url.parse().unwrap(), Some(Ipv4Addr::LOCALHOST.into())),
        };
        Self { admission, api, registry, broker, _dir: dir }
    }

    fn config_map(&self, name: &str, data: Value) {
        self.api.put(Resource::CONFIG_MAPS, json!({"metadata": {"namespace": "shop", "name": name}, "data": data}));
    }

    /// The outcome, and the response.
    async fn admit(&self, review: &Value) -> (Outcome, Value) {
        let answer = self.admission.admit(review.to_string().as_bytes()).await.unwrap();
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        (answer.outcome, body["response"].clone())
    }

    async fn container(&self, container: Value) -> (Outcome, Value) {
        self.admit(&review(json!({"metadata": {"generateName": "app-"}, "spec": {"containers": [container]}}))).await
    }

    /// The pod's only container afterwards.
    async fn injected(&self, container: Value) -> Value {
        let mut pod = json!({"spec": {"containers": [container.clone()]}});
        let (outcome, response) = self.container(container).await;
        assert_eq!(outcome, Outcome::Injected, "{response}");
        let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
        json_patch::patch(&mut pod, &serde_json::from_slice::<Patch>(&patch).unwrap()).unwrap();
        pod["spec"]["containers"][0].clone()
    }
}

fn review(pod: Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u1",
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "shop",
            "operation": "CREATE",
            "object": pod,
        },
    })
}

fn app(more: &Value) -> Value {
    let mut container = json!({"name": "app", "image": "app:1", "env": [{"name": "DB", "value": "db@azurekeyvault"}]});
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    container
}

fn variable<'a>(container: &'a Value, name: &str) -> &'a str {
    let mut all = container["env"].as_array().unwrap().iter();
    all.find(|variable| variable["name"] == name).and_then(|variable| variable["value"].as_str()).unwrap()
}

#[tokio::test]
async fn a_pod_that_says_what_it_runs_costs_no_lookup() {
    let scene = Scene::new().await;
    let container = scene.injected(app(&json!({"command": ["/app"]}))).await;
    assert_eq!(container["command"], json!(["/azure-keyvault/keyward-launcher", "exec", "--", "/app"]));
    assert_eq!(variable(&container, "KEYWARD_BROKER_IP"), "127.0.0.1");
    assert_eq!((scene.registry.total(), scene.api.requests().len()), (0, 0));
}

#[tokio::test]
async fn a_pod_that_does_not_runs_what_its_image_says() {
    let scene = Scene::new().await;
    scene.registry.push("team/app", "1", &FakeImage::new(&["/entry"], &["$x"]).env(&["TOKEN=db-token@azurekeyvault"]));
    let image = format!("{}/team/app:1", scene.registry.host());
    let container = scene.injected(app(&json!({"image": image}))).await;
    assert_eq!(container["command"], json!(["/azure-keyvault/keyward-launcher", "exec", "--", "/entry"]));
    assert_eq!(container["args"], json!(["$$x"]));
    assert_eq!(variable(&container, "KEYWARD_REFERENCES"), "db,db-token");
}

#[tokio::test]
async fn an_image_that_cannot_be_looked_up_denies_the_pod_with_the_fix() {
    let scene = Scene::new().await;
    let there = scene.registry.host();
    // Nobody listens at the second, and nobody speaks TLS there.
    for (host, expected) in [(there.as_str(), (Outcome::Denied, 403)), ("127.0.0.1:1", (Outcome::Failed, 500))] {
        let image = format!("{host}/team/none:1");
        let (outcome, response) = scene.container(app(&json!({"image": image}))).await;
        assert_eq!((outcome, &response["allowed"]), (expected.0, &json!(false)));
        assert_eq!(response["status"]["code"], expected.1);
        let message = response["status"]["message"].as_str().unwrap();
        for said in ["container app has references and no `command`", image.as_str(), "Set `command`"] {
            assert!(message.contains(said), "{message}");
        }
    }
    assert!(scene.registry.count(Kind::Head) > 0);
}

#[tokio::test]
async fn references_hide_in_config_maps() {
    let scene = Scene::new().await;
    scene.config_map("settings", json!({"DB": "db@azurekeyvault", "MODE": "fast"}));
    scene.config_map("plain", json!({"MODE": "fast"}));
    let from = |name: &str| json!({"name": "app", "command": ["/app"], "envFrom": [{"configMapRef": {"name": name}}]});
    let container = scene.injected(from("settings")).await;
    assert_eq!(variable(&container, "KEYWARD_REFERENCES"), "db");
    let (outcome, response) = scene.container(from("plain")).await;
    assert_eq!((outcome, response), (Outcome::Unchanged, json!({"uid": "u1", "allowed": true})));
    let late = scene.injected(from("late")).await;
    assert_eq!(variable(&late, "KEYWARD_REFERENCES"), "");
    // No object can have this name.
    scene.injected(from("Not/A/Name")).await;
}

#[tokio::test]
async fn a_config_map_that_cannot_be_read_denies_the_pod() {
    let scene = Scene::new().await;
    scene.api.down();
    let container = json!({"name": "app", "command": ["/app"], "envFrom": [{"configMapRef": {"name": "settings"}}]});
    let (outcome, response) = scene.container(container).await;
    assert_eq!((outcome, &response["allowed"]), (Outcome::Failed, &json!(false)));
    assert_eq!(response["status"]["code"], 500);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.contains("ConfigMap shop/settings"), "{message}");
}

#[tokio::test]
async fn a_reference_that_the_broker_does_not_know_is_a_warning_or_a_denial() {
    let mut scene = Scene::new().await;
    let env = json!([{"name": "A", "value": "api@azurekeyvault"}, {"name": "B", "value": "db@azurekeyvault"}]);
    let container = json!({"name": "app", "command": ["/app"], "env": env});
    let (outcome, response) = scene.container(container.clone()).await;
    assert_eq!(outcome, Outcome::Injected);
    assert_eq!(response["warnings"], json!(["container app: api@azurekeyvault: shop has none"]));
    scene.admission.injection.unresolved = Unresolved::Deny;
    let (outcome, response) = scene.container(container).await;
    assert_eq!((outcome, &response["status"]["code"]), (Outcome::Denied, &json!(403)));
    assert_eq!(response["status"]["message"], "container app: api@azurekeyvault: shop has none");
}

#[tokio::test]
async fn without_a_broker_pods_are_admitted_and_whoever_creates_them_is_told() {
    let mut scene = Scene::new().await;
    scene.admission.injection.unresolved = Unresolved::Deny;
    scene.broker.shutdown().await;
    let (outcome, response) = scene.container(app(&json!({"command": ["/app"]}))).await;
    assert_eq!(outcome, Outcome::Injected);
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("references were not checked: "), "{warning}");
}

#[tokio::test]
async fn a_pod_may_opt_out_where_it_may() {
    let mut scene = Scene::new().await;
    let pod = json!({
        "metadata": {"labels": {"keyward.dev/inject": "disabled"}},
        "spec": {"containers": [app(&json!({"command": ["/app"]}))]},
    });
    assert_eq!(scene.admit(&review(pod.clone())).await.0, Outcome::Unchanged);
    scene.admission.may_opt_out = false;
    assert_eq!(scene.admit(&review(pod)).await.0, Outcome::Injected);
}

#[tokio::test]
async fn what_is_not_the_creation_of_a_pod_is_left_alone() {
    let scene = Scene::new().await;
    let pod = json!({"spec": {"containers": [app(&json!({"command": ["/app"]}))]}});
    for (field, value) in [
        ("operation", json!("UPDATE")),
        ("subResource", json!("ephemeralcontainers")),
        ("resource", json!({"group": "apps", "version": "v1", "resource": "deployments"})),
        ("object", Value::Null),
    ] {
        let mut review = review(pod.clone());
        review["request"][field] = value;
        assert_eq!(scene.admit(&review).await.0, Outcome::Unchanged, "{field}");
    }
}

#[tokio::test]
async fn a_pod_that_can_never_work_is_denied_and_no_value_is_quoted() {
    let scene = Scene::new().await;
    scene.config_map("settings", json!({"DB": "kwcanary@azurekeyvault "}));
    let container = json!({"name": "app", "command": ["/app"], "envFrom": [{"configMapRef": {"name": "settings"}}]});
    let (outcome, response) = scene.container(container).await;
    assert_eq!((outcome, &response["status"]["code"]), (Outcome::Denied, &json!(403)));
    let shown = response.to_string().replace("kwcanary", "VALUE");
    assert!(shown.contains("variable DB says") && !shown.contains("VALUE"), "{shown}");
}
