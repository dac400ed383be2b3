//! Against a scripted API server over a socket.

use keyward_kit::tasks::Tasks;
use keyward_tests::api::{ApiServer, Resource};
use kube::{Config, runtime::events::Reporter};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::task::JoinSet;

use super::*;
use crate::{authority::looks::State, metrics::Metrics, objects::CONTROLLER};

const CONFIG_MAPS: Resource = Resource::CONFIG_MAPS;

struct World {
    api: ApiServer,
    publish: watch::Sender<Option<Bundle>>,
    told: Told,
    looks: Looks,
    _tasks: JoinSet<()>,
}

fn bundle(content: &str) -> Bundle {
    Bundle::parse(format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n").as_bytes()).unwrap()
}

fn namespace(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"azure-key-vault-env-injection": "enabled"}}})
}

fn config_map(namespace: &str, data: &Value) -> Value {
    json!({"metadata": {"namespace": namespace, "name": NAME}, "data": data})
}

impl World {
    /// With nothing to publish yet.
    async fn start() -> Self {
        Self::of(Scope::All).await
    }

    /// The same of some namespaces.
    async fn of(scope: Scope) -> Self {
        let api = ApiServer::start().await.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(Config::new(api.url().parse().unwrap())).unwrap();
        let metrics = Metrics::new(&mut Registry::default());
        let looks = Looks::default();
        let authority = Authority {
            objects: Objects::new(client.clone(), metrics),
            recorder: Recorder::new(client.clone(), Reporter { controller: CONTROLLER.to_owned(), instance: None }),
            source: Source::Directory(PathBuf::new()),
            own: "keyward".to_owned(),
            scope,
            refusals: Refusals::default(),
            looks: looks.clone(),
            client,
        };
        let (publish, bundle) = watch::channel(None);
        let mut tasks = Tasks::new();
        let told = authority.spawn_publishing(bundle, &mut tasks);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let _ = tasks.run_until(std::future::pending(), Duration::ZERO).await;
        });
        Self { api, publish, told, looks, _tasks: running }
    }

    /// With `bundle` to publish, which is in `namespaces`.
    async fn published(content: &str, namespaces: &[&str]) -> Self {
        let world = Self::start().await;
        for name in namespaces {
            world.api.put(Resource::NAMESPACES, namespace(name));
        }
        world.publish(&bundle(content)).await;
        for name in namespaces {
            world.holds(name, &bundle(content)).await;
        }
        world
    }

    async fn publish(&self, bundle: &Bundle) {
        self.publish.send_replace(Some(bundle.clone()));
        self.told.all().await;
    }

    /// Returns once the namespace does.
    async fn holds(&self, namespace: &str, bundle: &Bundle) {
        let is = |object: Value| object["data"][KEY] == bundle.as_str();
        self.api.until(|api| api.get(CONFIG_MAPS, namespace, NAME).is_some_and(is)).await;
    }

    /// Returns once this has been asked so many times.
    async fn asked(&self, method: &str, path: &str, times: usize) {
        self.api.until(|api| count(api, method, path) >= times).await;
    }

    fn state(&self) -> Vec<State> {
        self.looks.counts().into_iter().filter(|(_, count)| *count > 0).map(|(state, _)| state).collect()
    }
}

fn count(api: &ApiServer, method: &str, path: &str) -> usize {
    api.requests().iter().filter(|asked| asked.method == method && asked.uri.starts_with(path)).count()
}

fn path_in(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/{NAME}")
}

#[tokio::test]
async fn a_namespace_has_it_when_it_is_labelled_and_all_have_the_next_one() {
    let world = World::published("AAAA", &["shop", "bank"]).await;
    world.api.put(Resource::NAMESPACES, namespace("new"));
    world.holds("new", &bundle("AAAA")).await;
    let object = world.api.get(CONFIG_MAPS, "new", NAME).unwrap();
    assert_eq!(object["metadata"]["labels"], json!({"app.kubernetes.io/managed-by": "keyward"}));
    assert_eq!(object["data"], json!({KEY: bundle("AAAA").as_str()}));
    world.publish(&bundle("BBBB")).await;
    for name in ["shop", "bank", "new"] {
        world.holds(name, &bundle("BBBB")).await;
    }
    // Labelled namespaces alone are asked for, and of all that is watched only metadata.
    let lists: Vec<_> = world.api.requests().into_iter().filter(|asked| asked.uri.contains("limit=")).collect();
    for (path, selector) in [
        ("/api/v1/namespaces?", "labelSelector=azure-key-vault-env-injection%3Denabled"),
        ("/api/v1/configmaps?", "fieldSelector=metadata.name%3Dkeyward-ca"),
    ] {
        let list = lists.iter().find(|asked| asked.uri.starts_with(path)).unwrap();
        assert!(list.uri.contains(selector) && list.accept.contains("PartialObjectMetadata"), "{list:?}");
    }
}

#[tokio::test]
async fn what_somebody_changes_or_deletes_comes_back() {
    let world = World::published("AAAA", &["shop"]).await;
    world.api.delete(CONFIG_MAPS, "shop", NAME);
    world.holds("shop", &bundle("AAAA")).await;
    let mut changed = world.api.get(CONFIG_MAPS, "shop", NAME).unwrap();
    changed["data"] = json!({KEY: "another", "more": "theirs"});
    world.api.put(CONFIG_MAPS, changed);
    world.holds("shop", &bundle("AAAA")).await;
    assert_eq!(world.api.get(CONFIG_MAPS, "shop", NAME).unwrap()["data"]["more"], "theirs");
    // Nobody told of this deletion: the next list does.
    world.api.delete_unheard(CONFIG_MAPS, "shop", NAME);
    world.holds("shop", &bundle("AAAA")).await;
}

#[tokio::test]
async fn nothing_is_written_when_nothing_has_changed() {
    let world = World::published("AAAA", &["shop"]).await;
    let path = path_in("shop");
    let before = count(&world.api, "GET", &path);
    // Every watch begins anew, and everything is looked at; after that a second time.
    world.api.delete_unheard(Resource::CORE_SECRETS, "", "none");
    world.asked("GET", &path, before + 1).await;
    world.told.all().await;
    world.asked("GET", &path, before + 2).await;
    assert_eq!(count(&world.api, "PATCH", &path), 1);
    assert_eq!(world.state(), [State::Published]);
}

#[tokio::test]
async fn what_was_not_made_by_us_is_left_alone_and_told_once() {
    let world = World::published("AAAA", &["bank"]).await;
    let theirs = json!({KEY: "theirs"});
    world.api.put(CONFIG_MAPS, config_map("shop", &theirs));
    world.api.put(Resource::NAMESPACES, namespace("shop"));
    let events = "/apis/events.k8s.io/v1/namespaces/shop/events";
    world.asked("POST", events, 1).await;
    for look in 2..=3 {
        world.told.all().await;
        world.asked("GET", &path_in("shop"), look).await;
    }
    assert_eq!(world.api.get(CONFIG_MAPS, "shop", NAME).unwrap()["data"], theirs);
    assert_eq!((count(&world.api, "POST", events), count(&world.api, "PATCH", &path_in("shop"))), (1, 0));
    assert_eq!(world.state(), [State::Published, State::Foreign]);
    let mut adopted = config_map("shop", &theirs);
    adopted["metadata"]["annotations"] = json!({"keyward.dev/adopt": "true"});
    world.api.put(CONFIG_MAPS, adopted);
    world.holds("shop", &bundle("AAAA")).await;
}

#[tokio::test]
async fn a_namespace_on_its_way_out_gets_nothing_and_one_without_its_label_keeps_it() {
    let world = World::published("AAAA", &["shop"]).await;
    let mut ending = namespace("ending");
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    world.api.put(Resource::NAMESPACES, ending);
    // To a watch of labelled ones, it is gone.
    world.api.delete(Resource::NAMESPACES, "", "shop");
    world.api.put(Resource::NAMESPACES, namespace("last"));
    world.holds("last", &bundle("AAAA")).await;
    assert_eq!(count(&world.api, "GET", &path_in("ending")), 0);
    world.publish(&bundle("BBBB")).await;
    world.holds("last", &bundle("BBBB")).await;
    assert_eq!(world.api.get(CONFIG_MAPS, "shop", NAME).unwrap()["data"][KEY], bundle("AAAA").as_str());
}

#[tokio::test]
async fn an_api_server_that_was_away_is_asked_again() {
    let world = World::published("AAAA", &["shop"]).await;
    world.api.down();
    world.publish(&bundle("BBBB")).await;
    let gets = count(&world.api, "GET", &path_in("shop"));
    world.asked("GET", &path_in("shop"), gets + 1).await;
    world.api.up();
    world.holds("shop", &bundle("BBBB")).await;
}

#[tokio::test]
async fn our_own_namespace_has_it_whatever_its_label() {
    let world = World::published("AAAA", &["shop"]).await;
    world.holds("keyward", &bundle("AAAA")).await;
    world.api.put(Resource::NAMESPACES, namespace("keyward"));
    world.api.delete(Resource::NAMESPACES, "", "keyward");
    // Told after the loss of the label.
    world.api.put(Resource::NAMESPACES, namespace("last"));
    world.holds("last", &bundle("AAAA")).await;
    world.publish(&bundle("BBBB")).await;
    world.holds("keyward", &bundle("BBBB")).await;
    world.api.delete_unheard(CONFIG_MAPS, "keyward", NAME);
    world.holds("keyward", &bundle("BBBB")).await;
}

#[tokio::test]
async fn whoever_waits_for_all_hears_of_the_last_and_waits_for_none_that_is_not_ours() {
    let world = World::published("AAAA", &["shop"]).await;
    world.api.put(CONFIG_MAPS, config_map("bank", &json!({KEY: "theirs"})));
    let mut ending = namespace("ending");
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    world.api.put(Resource::NAMESPACES, ending);
    world.api.put(Resource::NAMESPACES, namespace("bank"));
    world.looks.until_all_hold(&bundle("AAAA")).await;
    assert!(!world.looks.all_hold(&bundle("BBBB")));
    world.publish(&bundle("BBBB")).await;
    world.looks.until_all_hold(&bundle("BBBB")).await;
    let held = world.api.get(CONFIG_MAPS, "shop", NAME).unwrap();
    assert_eq!(held["data"][KEY], bundle("BBBB").as_str());
}

#[tokio::test]
async fn of_listed_namespaces_each_is_watched_by_its_name_and_no_other_has_it() {
    let world = World::of(Scope::Only(["shop", "bank"].map(str::to_owned).into())).await;
    for name in ["shop", "bank", "other"] {
        world.api.put(Resource::NAMESPACES, namespace(name));
    }
    world.publish(&bundle("AAAA")).await;
    for name in ["shop", "bank", "keyward"] {
        world.holds(name, &bundle("AAAA")).await;
    }
    world.looks.until_all_hold(&bundle("AAAA")).await;
    world.api.delete(CONFIG_MAPS, "bank", NAME);
    world.holds("bank", &bundle("AAAA")).await;
    assert_eq!(world.api.get(CONFIG_MAPS, "other", NAME), None);
    let lists: Vec<_> = world.api.requests().into_iter().filter(|asked| asked.uri.contains("limit=")).collect();
    let namespaces = lists.iter().filter(|asked| asked.uri.starts_with("/api/v1/namespaces?"));
    assert!(namespaces.clone().all(|asked| asked.uri.contains("fieldSelector=metadata.name%3D")));
    assert_eq!(namespaces.count(), 2);
    assert!(lists.iter().all(|asked| !asked.uri.starts_with("/api/v1/configmaps?")), "{lists:?}");
    for place in ["shop", "bank", "keyward"] {
        assert!(lists.iter().any(|asked| asked.uri.starts_with(&format!("/api/v1/namespaces/{place}/configmaps?"))));
    }
}
