//! Against a scripted API server over a socket. The broker is away: what is looked at is seen by what is held and asked.

use std::time::Duration;

use keyward_kit::tasks::Tasks;
use keyward_tests::api::{ApiServer, Resource, SECRETS};
use kube::{
    Client, Config,
    runtime::{
        events::{Recorder, Reporter},
        reflector,
    },
};
use prometheus_client::registry::Registry;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::{
    broker::Connection,
    desired::{MANAGED_BY, Propagation},
    managed::Managed,
    metrics::Metrics,
    objects::{CONTROLLER, Objects},
    reconcile::Memory,
    restart::{Restarter, Touched},
    scope::Scope,
    target::TargetKind,
    watching::Refusals,
};

struct World {
    api: ApiServer,
    context: Arc<Context>,
    _directory: TempDir,
    _tasks: JoinSet<()>,
}

impl World {
    async fn of(namespaces: &[&str]) -> Self {
        let api = ApiServer::start().await.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(Config::new(api.url().parse().unwrap())).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let broker = Connection::new(&"https://127.0.0.1:1".parse().unwrap(), directory.path().to_owned()).unwrap();
        let metrics = Metrics::new(&mut Registry::default());
        let (store, writer) = reflector::store();
        let touched = Touched::default();
        let context = Arc::new(Context {
            objects: Objects::new(client.clone(), Arc::clone(&metrics)),
            broker,
            managed: Managed::default(),
            store,
            recorder: Recorder::new(client.clone(), Reporter { controller: CONTROLLER.to_owned(), instance: None }),
            metrics,
            propagation: Propagation { labels: Vec::new(), annotations: Vec::new() },
            memory: Memory::default(),
            touched: touched.clone(),
            sees_all: true,
            scope: Scope::of(namespaces.iter().map(|name| (*name).to_owned())),
            refusals: Refusals::default(),
            client,
        });
        let mut tasks = Tasks::new();
        Work::new(Arc::clone(&context), writer, None).spawn(&mut tasks, &Arc::default());
        Restarter::new(Arc::clone(&context), Duration::from_secs(300), touched).spawn(&mut tasks);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let _ = tasks.run_until(std::future::pending(), Duration::ZERO).await;
        });
        Self { api, context, _directory: directory, _tasks: running }
    }

    fn put(&self, namespace: &str, name: &str) {
        self.api.put(SECRETS, json!({"metadata": {"namespace": namespace, "name": name}, "spec": {}}));
        let labels = json!({MANAGED_BY.0: MANAGED_BY.1});
        let object = json!({"metadata": {"namespace": namespace, "name": name, "labels": labels}});
        self.api.put(Resource::CORE_SECRETS, object);
    }

    /// Until these are known: the secrets, and the Secrets of the same names.
    async fn until_known(&self, expected: &[&str]) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while self.known() != expected {
            assert!(tokio::time::Instant::now() < deadline, "{:?}", self.known());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn known(&self) -> Vec<String> {
        let is_watched = |akvs: &&Arc<Akvs>| {
            let (namespace, name) = (akvs.namespace().to_owned(), akvs.name().to_owned());
            let target = Target { kind: TargetKind::Secret, namespace, name };
            self.context.managed.resource_version(&target).is_some()
        };
        let all = self.context.store.state();
        let known = all.iter().filter(is_watched).map(|akvs| format!("{}/{}", akvs.namespace(), akvs.name()));
        let mut known: Vec<_> = known.collect();
        known.sort();
        known
    }
}

#[tokio::test]
async fn nothing_is_asked_for_outside_of_the_listed_namespaces() {
    let world = World::of(&["shop", "bank"]).await;
    for namespace in ["shop", "bank", "other"] {
        world.put(namespace, "db");
    }
    world.until_known(&["bank/db", "shop/db"]).await;
    world.put("other", "mail");
    world.put("shop", "mail");
    world.until_known(&["bank/db", "shop/db", "shop/mail"]).await;
    for kind in ["daemonsets", "deployments", "statefulsets"] {
        for namespace in ["shop", "bank"] {
            let path = format!("/apis/apps/v1/namespaces/{namespace}/{kind}?");
            world.api.asked(|asked| asked.uri.starts_with(&path)).await;
        }
    }
    assert_eq!(world.context.managed.len(), 3);
    for asked in world.api.requests() {
        let rest = asked.uri.split_once("/namespaces/").map(|(_, rest)| rest);
        assert!(rest.is_some_and(|rest| rest.starts_with("shop/") || rest.starts_with("bank/")), "{asked:?}");
    }
}

#[tokio::test]
async fn a_list_of_one_namespace_forgets_nothing_of_another() {
    let world = World::of(&["shop", "bank"]).await;
    for (namespace, name) in [("shop", "db"), ("shop", "mail"), ("bank", "db")] {
        world.put(namespace, name);
    }
    world.until_known(&["bank/db", "shop/db", "shop/mail"]).await;
    world.api.close("bank");
    for resource in [SECRETS, Resource::CORE_SECRETS] {
        world.api.delete_unheard(resource, "shop", "db");
    }
    world.until_known(&["bank/db", "shop/mail"]).await;
    world.put("bank", "mail");
    world.put("shop", "more");
    world.until_known(&["bank/db", "shop/mail", "shop/more"]).await;
    world.api.reopen("bank");
    world.until_known(&["bank/db", "bank/mail", "shop/mail", "shop/more"]).await;
}
