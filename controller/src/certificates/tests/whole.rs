//! All tasks, with watches, against a scripted API server over a socket; the overlap passes in real time.

use keyward_tests::api::{ApiServer, Resource};
use kube::Config;
use tokio::task::JoinSet;

use super::*;
use crate::{authority::Authority, scope::Scope, watching::Refusals};

const SECRETS: Resource = Resource::CORE_SECRETS;
const HOOKS: Resource = Resource::MUTATING_WEBHOOKS;

struct Whole {
    api: ApiServer,
    outlets: Outlets,
    readiness: Readiness,
    running: JoinSet<()>,
}

impl Whole {
    /// In a cluster with one labelled namespace, while a replica leads.
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = ApiServer::start().await.unwrap();
        let labels = json!({"azure-key-vault-env-injection": "enabled"});
        api.put(Resource::NAMESPACES, json!({"metadata": {"name": "shop", "labels": labels}}));
        api.put(HOOKS, json!({"metadata": {"name": "keyward"}, "webhooks": [{"name": "a", "clientConfig": {}}]}));
        let readiness = Readiness::new();
        let outlets = Outlets::new(readiness.clone());
        let mut whole = Self { api, outlets, readiness, running: JoinSet::new() };
        whole.lead();
        whole
    }

    /// A replica begins to lead, and whoever led has ended.
    fn lead(&mut self) {
        let client = Client::try_from(Config::new(self.api.url().parse().unwrap())).unwrap();
        let metrics = Metrics::new(&mut Registry::default());
        let objects = Objects::new(client.clone(), Arc::clone(&metrics));
        let recorder = Recorder::new(client.clone(), Reporter { controller: CONTROLLER.to_owned(), instance: None });
        let (outlets, looks, refusals) = (self.outlets.clone(), Looks::default(), Refusals::default());
        let mut settings = settings();
        settings.lifetimes.overlap = Duration::from_secs(1);
        let authority = Authority {
            client: client.clone(),
            objects: objects.clone(),
            recorder: recorder.clone(),
            source: outlets.bundle(),
            own: "keyward".to_owned(),
            scope: Scope::All,
            refusals: refusals.clone(),
            looks: looks.clone(),
        };
        let looks = Some(looks);
        let mut tasks = Tasks::new();
        Certificates { client, objects, recorder, metrics, settings, outlets, refusals, looks }.spawn(&mut tasks);
        authority.spawn(&mut tasks);
        self.running = JoinSet::new();
        self.running.spawn(async move {
            let _ = tasks.run_until(std::future::pending(), Duration::ZERO).await;
        });
    }

    fn keys(&self) -> Vec<String> {
        let object = self.api.get(SECRETS, "keyward", "keyward-ca").unwrap_or_default();
        object["data"].as_object().map(|data| data.keys().cloned().collect()).unwrap_or_default()
    }

    fn published(&self, namespace: &str) -> Option<String> {
        let object = self.api.get(Resource::CONFIG_MAPS, namespace, "keyward-ca")?;
        object["data"]["ca.crt"].as_str().map(str::to_owned)
    }

    /// Returns once the authority's Secret holds these, and everybody was told of as many certificates.
    async fn until(&self, keys: &[&str]) {
        let certificates = keys.iter().filter(|key| key.contains(".crt")).count();
        let told = |text: Option<String>| text.is_some_and(|text| text.matches("BEGIN").count() == certificates);
        let holds = |_: &ApiServer| {
            self.keys() == keys && ["shop", "keyward"].into_iter().all(|name| told(self.published(name)))
        };
        self.api.until(holds).await;
    }

    fn annotate(&self) {
        let rotate = |object: &mut Value| object["metadata"]["annotations"]["keyward.dev/rotate"] = "now".into();
        assert!(self.api.edit(SECRETS, "keyward", "keyward-ca", rotate));
    }
}

const SETTLED: [&str; 2] = ["active.crt", "active.key"];

#[tokio::test]
async fn a_rotation_runs_from_its_annotation_to_its_end_and_is_everywhere() {
    let whole = Whole::start().await;
    whole.until(&SETTLED).await;
    whole.readiness.ready().await;
    let before = whole.published("shop").unwrap();
    whole.annotate();
    whole.until(&["active.crt", "active.key", "next.crt", "next.key"]).await;
    whole.until(&["active.crt", "active.key", "retired.crt"]).await;
    whole.until(&SETTLED).await;
    let after = whole.published("shop").unwrap();
    assert_ne!(before, after);
    // The last to be told are told at last.
    let told = |api: &ApiServer| {
        let hooks: hooks::Configuration = serde_json::from_value(api.get(HOOKS, "", "keyward").unwrap()).unwrap();
        hooks.trusts(&crate::authority::Bundle::parse(after.as_bytes()).unwrap())
    };
    whole.api.until(told).await;
}

#[tokio::test]
async fn a_namespace_that_has_not_heard_keeps_the_next_one_from_being_used() {
    let whole = Whole::start().await;
    whole.until(&SETTLED).await;
    // Nothing is known of what it holds.
    whole.api.hold(Resource::CONFIG_MAPS);
    whole.annotate();
    let prepared = ["active.crt", "active.key", "next.crt", "next.key"];
    let exists = |api: &ApiServer| api.get(SECRETS, "keyward", "keyward-broker-tls").is_some();
    whole.api.until(|api| whole.keys() == prepared && exists(api)).await;
    let asks = |api: &ApiServer| api.requests().iter().filter(|asked| asked.uri.contains("keyward-broker-tls")).count();
    let before = asks(&whole.api);
    // It looks again, and still nothing is stamped.
    assert!(
        whole
            .api
            .edit(SECRETS, "keyward", "keyward-broker-tls", |object| object["metadata"]["labels"]["x"] = "y".into())
    );
    whole.api.until(|api| asks(api) > before + 1).await;
    let metadata = &whole.api.get(SECRETS, "keyward", "keyward-ca").unwrap()["metadata"];
    assert!(metadata["annotations"].get("keyward.dev/published").is_none(), "{metadata}");
    whole.api.release();
    whole.until(&SETTLED).await;
}

#[tokio::test]
async fn what_is_deleted_or_edited_is_noticed_by_watches() {
    let mut whole = Whole::start().await;
    whole.until(&SETTLED).await;
    let data = |name: &str| whole.api.get(SECRETS, "keyward", name).map(|object| object["data"].clone());
    let before = data("keyward-ca").unwrap();
    whole.api.until(|_| data("keyward-webhook-tls").is_some()).await;
    whole.api.delete(SECRETS, "keyward", "keyward-ca");
    whole.api.until(|_| data("keyward-ca").is_some_and(|data| data == before)).await;
    whole.api.delete(SECRETS, "keyward", "keyward-broker-tls");
    whole.api.until(|_| data("keyward-broker-tls").is_some()).await;
    whole.api.edit(HOOKS, "", "keyward", |object| object["webhooks"][0]["clientConfig"]["caBundle"] = "QUFB".into());
    let bundle =
        |api: &ApiServer| api.get(HOOKS, "", "keyward").unwrap()["webhooks"][0]["clientConfig"]["caBundle"].clone();
    whole.api.until(|api| bundle(api) != "QUFB").await;
    // Another replica leads, and finds everything as it should be.
    let versions = |api: &ApiServer| {
        ["keyward-ca", "keyward-broker-tls", "keyward-webhook-tls"]
            .map(|name| api.get(SECRETS, "keyward", name).unwrap()["metadata"]["resourceVersion"].clone())
    };
    let before = versions(&whole.api);
    whole.outlets = Outlets::new(whole.readiness.clone());
    whole.lead();
    let own = whole.outlets.clone();
    whole.readiness.ready().await;
    let mut heard = own.own.subscribe();
    heard.wait_for(Option::is_some).await.unwrap();
    assert_eq!(versions(&whole.api), before);
}
