//! Against a scripted API server over a socket.

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use keyward_tests::api::{ApiServer, Resource};
use kube::{Config, core::PartialObjectMeta};
use serde_json::json;

use super::*;

type Object = PartialObjectMeta<ConfigMap>;

struct World {
    api: ApiServer,
    events: Events<Object>,
    refusals: Refusals,
}

impl World {
    async fn of(namespaces: &[&str], closed: &[&str]) -> Self {
        let api = ApiServer::start().await.unwrap();
        for namespace in closed {
            api.close(namespace);
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(Config::new(api.url().parse().unwrap())).unwrap();
        let (scope, refusals) = (Scope::of(namespaces.iter().map(|name| (*name).to_owned())), Refusals::default());
        let events = watch(&client, &scope, &selecting(), &refusals);
        Self { api, events, refusals }
    }

    fn put(&self, namespace: &str, name: &str) {
        self.api.put(Resource::CONFIG_MAPS, json!({"metadata": {"namespace": namespace, "name": name}}));
    }

    /// What the next events say, without beginnings of lists: those of a place that is tried again are many.
    async fn hear(&mut self, count: usize) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let (place, event) = self.events.next().await.unwrap();
            let (word, object) = match event {
                Event::Init => continue,
                Event::InitDone => ("all", None),
                Event::InitApply(object) => ("lists", Some(object)),
                Event::Apply(object) => ("has", Some(object)),
                Event::Delete(object) => ("loses", Some(object)),
            };
            let name = object.and_then(|object| object.metadata.name).unwrap_or_default();
            heard.push(format!("{place} {word} {name}").trim().to_owned());
        }
        heard.sort();
        heard
    }

    /// Until it has been asked for again after a refusal. Watches go on only while they are heard.
    async fn until_refused(&mut self, namespace: &str) {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps?");
        let asked = |api: &ApiServer| api.requests().iter().filter(|asked| asked.uri.starts_with(&path)).count();
        let before = asked(&self.api);
        loop {
            tokio::select! {
                event = self.events.next() => assert!(matches!(event, Some((_, Event::Init))), "{event:?}"),
                () = self.api.until(|api| asked(api) >= before + 2) => break,
            }
        }
        assert_eq!(self.refusals.counts(), [("configmaps".to_owned(), 1)]);
    }

    fn refused(&self) -> usize {
        self.refusals.counts().iter().map(|(_, count)| count).sum()
    }
}

#[tokio::test]
async fn listed_namespaces_are_one_stream_and_no_other_is_asked_for() {
    let mut world = World::of(&["shop", "bank"], &[]).await;
    for namespace in ["shop", "bank", "other"] {
        world.put(namespace, "db");
    }
    assert_eq!(
        world.hear(4).await,
        ["namespace bank all", "namespace bank lists db", "namespace shop all", "namespace shop lists db"]
    );
    world.put("other", "mail");
    world.put("shop", "mail");
    assert_eq!(world.hear(1).await, ["namespace shop has mail"]);
    world.api.delete(Resource::CONFIG_MAPS, "other", "db");
    world.api.delete(Resource::CONFIG_MAPS, "bank", "db");
    assert_eq!(world.hear(1).await, ["namespace bank loses db"]);
    let asked = world.api.requests();
    let listed = |uri: &str| {
        ["shop", "bank"].iter().any(|name| uri.starts_with(&format!("/api/v1/namespaces/{name}/configmaps?")))
    };
    assert!(asked.iter().all(|asked| listed(&asked.uri)), "{asked:?}");
}

#[tokio::test]
async fn without_a_list_one_watch_tells_of_all() {
    let mut world = World::of(&[], &[]).await;
    world.put("shop", "db");
    assert_eq!(world.hear(2).await, ["the cluster all", "the cluster lists db"]);
    world.put("bank", "db");
    assert_eq!(world.hear(1).await, ["the cluster has db"]);
    assert!(world.api.requests().iter().all(|asked| asked.uri.starts_with("/api/v1/configmaps?")));
}

#[tokio::test]
async fn a_namespace_that_is_not_there_yet_is_empty_until_it_is() {
    let mut world = World::of(&["shop", "later"], &[]).await;
    assert_eq!(world.hear(2).await, ["namespace later all", "namespace shop all"]);
    world.put("later", "db");
    assert_eq!(world.hear(1).await, ["namespace later has db"]);
    assert_eq!(world.refused(), 0);
}

#[tokio::test]
async fn a_namespace_that_may_not_be_seen_hides_no_other_and_is_seen_once_it_may() {
    let mut world = World::of(&["shop", "bank"], &["bank"]).await;
    world.put("bank", "db");
    assert_eq!(world.hear(1).await, ["namespace shop all"]);
    world.put("shop", "db");
    assert_eq!(world.hear(1).await, ["namespace shop has db"]);
    world.until_refused("bank").await;
    world.api.reopen("bank");
    assert_eq!(world.hear(2).await, ["namespace bank all", "namespace bank lists db"]);
    assert_eq!(world.refused(), 0);
}

#[tokio::test]
async fn rights_that_are_lost_and_come_back_are_a_list_anew_of_that_namespace_alone() {
    let mut world = World::of(&["shop", "bank"], &[]).await;
    world.hear(2).await;
    world.put("bank", "db");
    assert_eq!(world.hear(1).await, ["namespace bank has db"]);
    // A watch that has begun goes on until it ends by itself.
    world.api.close("bank");
    world.put("bank", "more");
    assert_eq!(world.hear(1).await, ["namespace bank has more"]);
    world.api.end_watches();
    world.until_refused("bank").await;
    world.put("shop", "db");
    assert_eq!(world.hear(1).await, ["namespace shop has db"]);
    world.api.delete(Resource::CONFIG_MAPS, "bank", "db");
    world.api.reopen("bank");
    assert_eq!(world.hear(2).await, ["namespace bank all", "namespace bank lists more"]);
    assert_eq!(world.refused(), 0);
}

#[tokio::test]
async fn waits_double_and_an_error_after_a_long_time_is_the_first_again() {
    let api = ApiServer::start().await.unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_from(Config::new(api.url().parse().unwrap())).unwrap();
    let api = Place::Cluster.api::<Object>(&client);
    let mut watch = Watch::new(Place::Cluster, api, selecting(), Refusals::default());
    let begin = Instant::now();
    for (after, wait) in [(0, 800), (1, 1_600), (3, 3_200), (7, 6_400), (14, 12_800), (27, 25_000), (52, 25_000)] {
        assert_eq!(watch.wait(begin + Duration::from_secs(after), 0.5).as_millis(), wait, "{after}");
    }
    assert_eq!(watch.wait(begin + Duration::from_secs(173), 0.5), WAITS.0);
}
