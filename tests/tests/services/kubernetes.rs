//! `--source kubernetes --authn token-review`: the real broker against an API server that plays a part.

use std::time::Duration;

use keyward_proto::v1::{
    CheckRequest, DescribeRequest, ExplainRequest, FetchRequest, RefreshRequest, SecretChanged, StatusRequest,
    WatchRequest, cache_client::CacheClient, explain_request::Who, references_client::ReferencesClient,
    secrets_client::SecretsClient, sync_client::SyncClient, watch_response::Event,
};
use keyward_tests::{
    api::{ApiServer, Resource, SECRETS, TokenStatus, VAULTS},
    stand::Stand,
    vault::ProjectedToken,
};
use serde_json::json;
use tonic::{Code, Request, Status};

use super::support::{channel, plan, resolve};

const OUTPUT: &str = ", output: {secret: {name: out, dataKey: value}}";

/// An operator's service account.
const OPERATOR: &str = "system:serviceaccount:ops:oncall";

struct World {
    api: ApiServer,
    stand: Stand,
}

impl World {
    /// A broker that has read nothing yet: the API server keeps its lists back.
    async fn start() -> Self {
        let api = ApiServer::start().await.unwrap();
        for resource in Resource::ALL.into_iter().filter(|resource| *resource != Resource::PODS) {
            api.hold(resource);
        }
        let config = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(config.path(), api.kubeconfig("keyward")).unwrap();
        let mut plan = plan("");
        plan.objects +=
            "  - clientId: 33333333-3333-3333-3333-333333333333\n    clientSecret: kwcanary-client-secret\n";
        plan.without.extend(["KEYWARD_JWKS_ISSUER", "KEYWARD_JWKS_CA_FILE"].map(str::to_owned));
        plan.broker_environment.extend([
            ("KEYWARD_SOURCE".to_owned(), "kubernetes".to_owned()),
            ("KUBECONFIG".to_owned(), config.path().display().to_string()),
        ]);
        let stand = Stand::start(plan).await.unwrap();
        Self { api, stand }
    }

    /// A broker that has read `secrets`, and a vault that admits namespace `shop`.
    async fn with(secrets: &str) -> Self {
        let world = Self::start().await;
        world.api.apply(SECRETS, secrets);
        world.declare("");
        world.api.release();
        world.ready().await;
        world
    }

    fn declare(&self, more: &str) {
        let url = self.stand.emulator.vault_url("acme");
        self.api.apply(
            VAULTS,
            &format!(
                "metadata: {{name: acme}}\nspec: {{vaultName: acme, url: {url}, namespaces: {{names: [shop]}}{more}}}\n"
            ),
        );
    }

    async fn ready(&self) {
        let heard = |line: &str| line.contains("objects of the cluster read").then_some(());
        self.stand.broker.line("that all was read", heard).await.unwrap();
    }

    /// A token of a pod of `shop`, which the API server accepts. The pod carries every reference that is asked for here.
    fn pod(&self, name: &str) -> String {
        let carried = json!([{"name": "KEYWARD_REFERENCES", "value": "db,env,no"}]);
        let metadata = json!({"namespace": "shop", "name": name, "uid": format!("uid-{name}")});
        let spec = json!({"containers": [{"name": "app", "env": carried}]});
        self.api.put(Resource::PODS, json!({"metadata": metadata, "spec": spec}));
        let token =
            ProjectedToken { pod_uid: Some(format!("uid-{name}")), ..ProjectedToken::for_pod("shop", "web", name) };
        let token = self.stand.emulator.projected_token(&token).unwrap();
        self.api.review(&token, TokenStatus::of_pod("shop", "web", name, &format!("uid-{name}")));
        token
    }

    /// An operator's token, which the API server accepts.
    fn operator(&self) -> String {
        let token = self.stand.emulator.projected_token(&ProjectedToken::unbound("ops", "oncall")).unwrap();
        self.api.review(&token, TokenStatus::of_service_account("ops", "oncall"));
        token
    }

    async fn sync(&self) -> SyncClient<tonic::transport::Channel> {
        SyncClient::new(channel(&self.stand, Some("controller")).await)
    }

    async fn resolved(&self, token: &str, name: &str) -> Result<Vec<u8>, Status> {
        let mut client = SecretsClient::new(channel(&self.stand, None).await);
        client.resolve(resolve(token, &[name])).await.map(|reply| reply.into_inner().values.remove(0))
    }

    fn uid(&self, name: &str) -> String {
        let secret = self.api.get(SECRETS, "shop", name).unwrap();
        secret["metadata"]["uid"].as_str().unwrap().to_owned()
    }
}

fn secret(name: &str, object: &str, more: &str) -> String {
    format!(
        "---\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{vault: {{name: acme, object: {{name: {object}, type: secret}}}}{more}}}\n"
    )
}

fn bearing<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

#[tokio::test]
async fn before_all_was_read_every_question_is_answered_with_come_again() {
    let world = World::start().await;
    world.api.apply(SECRETS, &secret("db", "db", OUTPUT));
    world.declare("");
    let (token, uid) = (world.pod("web-1"), world.uid("db"));
    let mut sync = world.sync().await;
    let mut webhook = ReferencesClient::new(channel(&world.stand, Some("webhook")).await);
    let fetch = FetchRequest { namespace: "shop".into(), name: "db".into(), uid: uid.clone(), generation: 1 };
    let describe = DescribeRequest { namespace: "shop".into(), name: "db".into(), uid, generation: 1 };
    let check = CheckRequest { namespace: "shop".into(), references: vec!["no@azurekeyvault".into()] };
    let refusals = [
        world.resolved(&token, "db").await.map(drop),
        world.resolved(&token, "no").await.map(drop),
        sync.fetch(fetch.clone()).await.map(drop),
        sync.describe(describe).await.map(drop),
        webhook.check(check.clone()).await.map(drop),
    ];
    for refused in refusals {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
        assert!(refused.message().contains("has not read every AzureKeyVaultSecret"), "{}", refused.message());
        assert!(refused.metadata().contains_key(keyward_proto::RETRY_AFTER_METADATA));
    }
    let ready = reqwest::get(format!("http://{}/readyz", world.stand.admin)).await.unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("kubernetes objects"));
    // Who waits is answered as soon as that can be.
    let (fetched, ()) = tokio::join!(sync.fetch(fetch), async { world.api.release() });
    assert!(fetched.unwrap().into_inner().secret.unwrap().data["value"] == b"kwcanary-db-1");
    assert!(world.resolved(&token, "db").await.unwrap() == b"kwcanary-db-1");
    assert_eq!(world.resolved(&token, "no").await.unwrap_err().code(), Code::NotFound);
    assert!(webhook.check(check).await.is_ok());
    let ready = reqwest::get(format!("http://{}/readyz", world.stand.admin)).await.unwrap();
    assert_eq!(ready.status(), 200);
}

#[tokio::test]
async fn a_fetch_that_comes_before_its_event_waits_for_it_and_for_no_other() {
    let world = World::with(&secret("db", "db", OUTPUT)).await;
    let mut sync = world.sync().await;
    let wanted =
        |generation| FetchRequest { namespace: "shop".into(), name: "db".into(), uid: world.uid("db"), generation };
    let edited = secret("db", "login", OUTPUT);
    let (fetched, ()) = tokio::join!(sync.fetch(wanted(2)), async { world.api.apply(SECRETS, &edited) });
    let fetched = fetched.unwrap().into_inner();
    assert!(fetched.generation == 2 && fetched.secret.unwrap().data["value"] == b"kwcanary-user:kwcanary-password");
    let mut hurried = Request::new(wanted(9));
    hurried.set_timeout(Duration::from_millis(500));
    let refused = sync.fetch(hurried).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "an answer within its own deadline: {refused:?}");
    assert!(refused.message().contains("generation 2 is"), "{}", refused.message());
}

#[tokio::test]
async fn who_watches_hears_what_its_own_watch_does_not_tell() {
    let world = World::with(&[secret("db", "db", OUTPUT), secret("env", "login", "")].concat()).await;
    let mut told = world.sync().await.watch(WatchRequest {}).await.unwrap().into_inner();
    let mut next = async || told.message().await.unwrap().unwrap().event.unwrap();
    assert!(matches!(next().await, Event::Resync(_)));
    // A secret that is created, and one that is fetched: no word. One that a pod resolves: there is a version now.
    world.api.apply(SECRETS, &secret("new", "db", OUTPUT));
    let new = FetchRequest { namespace: "shop".into(), name: "new".into(), uid: world.uid("new"), generation: 1 };
    world.sync().await.fetch(new).await.unwrap();
    let token = world.pod("web-1");
    world.resolved(&token, "env").await.unwrap();
    let changed = |name: &str| Event::Changed(SecretChanged { namespace: "shop".into(), name: name.into() });
    assert_eq!(next().await, changed("env"));
    // A declaration that admits less: whom it concerns, by name.
    world.declare(", objects: [{names: [db]}]");
    assert_eq!(next().await, changed("env"));
}

#[tokio::test]
async fn an_api_server_that_is_gone_takes_nothing_from_who_was_reviewed_and_gives_nothing_to_others() {
    let world = World::with(&secret("db", "db", "")).await;
    let (known, new) = (world.pod("web-1"), world.pod("web-2"));
    assert!(world.resolved(&known, "db").await.unwrap() == b"kwcanary-db-1");
    world.api.down();
    assert!(world.resolved(&known, "db").await.unwrap() == b"kwcanary-db-1");
    let refused = world.resolved(&new, "db").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
    assert!(refused.message().contains("tokens cannot be verified now: the API server"), "{}", refused.message());
    world.api.up();
    assert!(world.resolved(&new, "db").await.unwrap() == b"kwcanary-db-1");
}

#[tokio::test]
async fn the_admin_port_tells_how_the_api_server_is_heard() {
    let world = World::with(&secret("db", "db", "")).await;
    world.resolved(&world.pod("web-1"), "db").await.unwrap();
    let refused = world.stand.emulator.projected_token(&ProjectedToken::for_pod("shop", "web", "nobody")).unwrap();
    world.resolved(&refused, "db").await.unwrap_err();
    let metrics = reqwest::get(format!("http://{}/metrics", world.stand.admin)).await.unwrap().text().await.unwrap();
    let watched = ["azurekeyvaultsecrets.spv.no", "azurekeyvaults.keyward.dev", "namespaces"];
    let healthy = watched.map(|watched| format!(r#"keyward_watch_healthy{{watched="{watched}"}} 1.0"#));
    let others = [
        r#"keyward_watch_failures_total{watched="namespaces"} 0"#,
        r#"keyward_reviews_total{of="pods",outcome="accepted"} 1"#,
        r#"keyward_reviews_total{of="pods",outcome="refused"} 1"#,
        r#"keyward_reviews_total{of="operators",outcome="failed"} 0"#,
        "keyward_secrets 1.0",
    ];
    for line in healthy.iter().map(String::as_str).chain(others) {
        assert!(metrics.lines().any(|metric| metric == line), "{line} is not among\n{metrics}");
    }
    assert!(metrics.contains("\nkeyward_snapshots_total "), "{metrics}");
}

#[tokio::test]
async fn an_operator_comes_by_token_where_the_cluster_s_rules_let_its_user() {
    let world = World::with(&secret("db", "db", "")).await;
    let token = world.operator();
    world.api.allow(OPERATOR, "get");
    let mut cache = CacheClient::new(channel(&world.stand, None).await);
    let explain = ExplainRequest { who: Some(Who::Namespace("shop".into())), reference: "db@azurekeyvault".to_owned() };
    cache.status(bearing(&token, StatusRequest::default())).await.unwrap();
    cache.explain(bearing(&token, explain)).await.unwrap();
    let refused = cache.refresh(bearing(&token, RefreshRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{}", refused.message());
    assert!(refused.message().contains("may not update caches.keyward.dev"), "{}", refused.message());
    world.api.allow(OPERATOR, "update");
    cache.refresh(bearing(&token, RefreshRequest::default())).await.unwrap();
    let reviewed = world.api.access_reviews();
    assert!(reviewed.iter().all(|review| review.spec["user"] == OPERATOR && review.spec["uid"] == "uid-of-oncall"));

    // Nobody without, no pod by its own token, and no other method by an operator's.
    let pod = world.pod("web-1");
    for (refused, code) in [
        (cache.status(StatusRequest::default()).await.map(drop), Code::Unauthenticated),
        (cache.status(bearing("garbage", StatusRequest::default())).await.map(drop), Code::Unauthenticated),
        (cache.status(bearing(&pod, StatusRequest::default())).await.map(drop), Code::PermissionDenied),
        (world.resolved(&token, "db").await.map(drop), Code::Unauthenticated),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), code, "{}", refused.message());
    }
    let mut sync = SyncClient::new(channel(&world.stand, None).await);
    let refused = sync.fetch(bearing(&token, FetchRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{}", refused.message());
    // A certificate of another role decides, whatever stands beside it.
    for role in ["controller", "webhook", "broker"] {
        let mut cache = CacheClient::new(channel(&world.stand, Some(role)).await);
        let refused = cache.status(bearing(&token, StatusRequest::default())).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{role}: {}", refused.message());
    }
    let mut cache = CacheClient::new(channel(&world.stand, Some("operator")).await);
    cache.status(StatusRequest::default()).await.unwrap();
}

#[tokio::test]
async fn the_commands_of_operators_take_a_token_s_file() {
    let world = World::with(&secret("db", "db", "")).await;
    world.api.allow(OPERATOR, "get");
    let file = world.stand.directory().join("operator-token");
    std::fs::write(&file, format!("{}\n", world.operator())).unwrap();
    let ca = world.stand.directory().join("ca.crt").display().to_string();
    let token = file.display().to_string();
    for (arguments, code) in
        [(&["status"][..], 0), (&["explain", "--namespace", "shop", "db@azurekeyvault"], 0), (&["refresh"], 1)]
    {
        let mut command = world.stand.operator(arguments).unwrap();
        command.env_remove("KEYWARD_OPERATOR_TLS_DIR").args(["--operator-token-file", &token, "--ca-file", &ca]);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert_eq!(said.contains("PermissionDenied"), code == 1, "{said}");
    }
}

/// A broker that reads its vault as an identity whose secret is in the Secret `app`, which `namespace` has.
async fn with_credential(namespace: &str) -> (World, Result<Vec<u8>, Status>) {
    let world = World::start().await;
    // kwcanary-client-secret
    let data = json!({ "client-secret": "a3djYW5hcnktY2xpZW50LXNlY3JldA==" });
    let secret_app = json!({ "metadata": { "name": "app", "namespace": namespace }, "data": data });
    world.api.put(Resource::CORE_SECRETS, secret_app);
    world.api.apply(SECRETS, &secret("db", "db", ""));
    world.declare(", identity: {type: ClientSecret, clientId: 33333333-3333-3333-3333-333333333333, secretName: app}");
    world.api.release();
    world.ready().await;
    let resolved = world.resolved(&world.pod("web-1"), "db").await;
    let asked: Vec<_> = world.api.requests().into_iter().filter(|asked| asked.uri.contains("/secrets")).collect();
    let by_name = |uri: &str| uri.trim_end_matches('?') == "/api/v1/namespaces/keyward/secrets/app";
    assert!(!asked.is_empty() && asked.iter().all(|asked| by_name(&asked.uri)), "{asked:?}");
    (world, resolved)
}

#[tokio::test]
async fn a_credential_s_secret_is_read_by_name_in_the_broker_s_own_namespace() {
    let (_world, resolved) = with_credential("keyward").await;
    assert!(resolved.unwrap() == b"kwcanary-db-1");
}

#[tokio::test]
async fn a_secret_of_that_name_in_the_pod_s_namespace_is_not_looked_at() {
    let (_world, resolved) = with_credential("shop").await;
    let refused = resolved.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
    assert!(refused.message().contains("Secret keyward/app does not exist"), "{}", refused.message());
}
