//! The keeper against an API server that checks revisions: one turn after another, without watches.

mod healing;
mod server;
mod whole;

use keyward_kit::ready::{Readiness, Status};
use keyward_types::SecretBytes;
use kube::runtime::events::Reporter;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use self::server::{HOOKS, Server, secret};
use super::{
    certificate::Certificate,
    issue::{self, Identity, authority},
    settings::{Lifetimes, Wanted},
    *,
};
use crate::objects::CONTROLLER;

const PUBLISHED: &str = "/metadata/annotations/keyward.dev~1published";
const REISSUED: &str = "/metadata/annotations/keyward.dev~1reissued";
const LONG_AGO: &str = "2026-01-01T00:00:00Z";

struct World {
    server: Arc<Server>,
    keeper: Keeper,
    readiness: Readiness,
    metrics: Registry,
}

fn settings() -> Settings {
    let wanted = |leaf: Leaf, dns: &[&str], secret: Option<&str>| Wanted {
        leaf,
        identity: Identity {
            role: leaf.as_str(),
            uri: leaf.role().uri("example.org"),
            dns: dns.iter().map(ToString::to_string).collect(),
        },
        secret: secret.map(str::to_owned),
    };
    let day = Duration::from_hours(24);
    Settings {
        namespace: "keyward".to_owned(),
        authority: "keyward-ca".to_owned(),
        leaves: vec![
            wanted(Leaf::Controller, &[], None),
            wanted(Leaf::Broker, &["broker"], Some("keyward-broker-tls")),
            wanted(Leaf::Webhook, &["webhook"], Some("keyward-webhook-tls")),
        ],
        hooks: Some("keyward".to_owned()),
        lifetimes: Lifetimes { authority: 365 * day, leaf: 30 * day, overlap: Duration::from_hours(1) },
    }
}

fn keeper(server: &Arc<Server>, outlets: Outlets, registry: &mut Registry) -> Keeper {
    let client = server.client();
    let metrics = Metrics::new(registry);
    let waiting = outlets.begin();
    Keeper {
        objects: Objects::new(client.clone(), Arc::clone(&metrics)),
        recorder: Recorder::new(client, Reporter { controller: CONTROLLER.to_owned(), instance: None }),
        metrics,
        settings: settings(),
        outlets,
        refusals: Refusals::default(),
        looks: None,
        remembered: None,
        resting: Resting::default(),
        pace: Pace::new(Instant::now()),
        told: Vec::new(),
        wake: Arc::default(),
        waiting,
    }
}

impl World {
    fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (server, readiness, mut metrics) = (Arc::new(Server::default()), Readiness::new(), Registry::default());
        let keeper = keeper(&server, Outlets::new(readiness.clone()), &mut metrics);
        Self { server, keeper, readiness, metrics }
    }

    /// With everything there is to be.
    async fn settled() -> Self {
        let mut world = Self::start();
        world.server.put(HOOKS, json!({"metadata": {}, "webhooks": [{"clientConfig": {}}, {"clientConfig": {}}]}));
        world.work().await;
        world.server.writes();
        world
    }

    /// Another replica leads.
    fn replaced(&mut self) {
        self.keeper = keeper(&self.server, Outlets::new(self.readiness.clone()), &mut self.metrics);
    }

    /// Turns until nothing is due.
    async fn work(&mut self) {
        for _ in 0..40 {
            if !self.keeper.turn().await.pause.is_zero() {
                return;
            }
        }
        panic!("it never ends: {:?}", self.server.writes());
    }

    /// As if the overlap were over.
    fn age(&self, stamp: &str) {
        self.server.edit(&secret("keyward-ca"), |object| *object.pointer_mut(stamp).unwrap() = LONG_AGO.into());
    }

    fn authorities(&self) -> Vec<String> {
        let object = self.server.get(&secret("keyward-ca")).unwrap();
        object["data"].as_object().unwrap().keys().cloned().collect()
    }

    /// That everybody was told the same, and shows what is vouched for.
    fn assert_consistent(&self) {
        let bundle = self.keeper.outlets.bundle.borrow().clone().unwrap();
        let roots = Certificate::read_all(bundle.as_str().as_bytes()).unwrap();
        let own = self.keeper.outlets.own.borrow().clone().unwrap();
        let mut shown = vec![(own.certificate().to_vec(), own.authorities().to_vec())];
        for name in ["keyward-broker-tls", "keyward-webhook-tls"] {
            let text = |key| self.server.text(name, key).unwrap().into_bytes();
            shown.push((text("tls.crt"), text("ca.crt")));
        }
        for (certificate, authorities) in shown {
            let leaf = Certificate::read_all(&certificate).unwrap().remove(0);
            assert!(roots.iter().any(|root| root.has_signed(&leaf)));
            assert!(authorities == bundle.as_str().as_bytes());
        }
        let hooks: hooks::Configuration = serde_json::from_value(self.server.get(HOOKS).unwrap()).unwrap();
        assert!(hooks.trusts(&bundle));
    }
}

#[tokio::test]
async fn an_empty_cluster_has_everything_and_the_controller_is_ready() {
    let mut world = World::start();
    assert_eq!(world.readiness.status(), Status::Pending(vec!["certificates"]));
    world.server.put(HOOKS, json!({"metadata": {}, "webhooks": [{"clientConfig": {"service": {"name": "a"}}}]}));
    world.work().await;
    assert_eq!(world.readiness.status(), Status::Ready);
    world.assert_consistent();
    let writes: Vec<_> = world.server.writes().into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    let post = "POST /api/v1/namespaces/keyward/secrets";
    assert_eq!(writes, [post.to_owned(), format!("PATCH {HOOKS}"), post.to_owned(), post.to_owned()]);
    let broker = world.server.get(&secret("keyward-broker-tls")).unwrap();
    assert_eq!(
        (&broker["type"], &broker["metadata"]["labels"]),
        (&json!("kubernetes.io/tls"), &json!({"app.kubernetes.io/part-of": "keyward"}))
    );
    assert_eq!(world.server.get(&secret("keyward-ca")).unwrap()["type"], "Opaque");
    assert_eq!(world.server.get(HOOKS).unwrap()["webhooks"][0]["clientConfig"]["service"]["name"], "a");
    assert_eq!(world.server.events(), ["AuthorityMade"]);
    // And nothing more.
    world.work().await;
    assert_eq!(world.server.writes(), []);
    assert_eq!(world.keeper.outlets.shown().unwrap().phase, Phase::Settled);
}

#[tokio::test]
async fn a_rotation_that_is_asked_for_goes_through_and_its_annotation_goes() {
    let mut world = World::settled().await;
    let first = world.server.text("keyward-ca", "active.crt").unwrap();
    world.server.edit(&secret("keyward-ca"), |object| {
        object["metadata"]["annotations"] = json!({"keyward.dev/rotate": "now", "theirs": "stays"});
        object["metadata"]["labels"]["theirs"] = "stays".into();
    });
    world.work().await;
    world.assert_consistent();
    assert_eq!(world.authorities(), ["active.crt", "active.key", "next.crt", "next.key"]);
    let next = world.server.text("keyward-ca", "next.crt").unwrap();
    let broker = world.server.text("keyward-broker-tls", "tls.crt").unwrap();
    let metadata = &world.server.get(&secret("keyward-ca")).unwrap()["metadata"];
    assert!(metadata["annotations"].get("keyward.dev/rotate").is_none());
    world.age(PUBLISHED);
    world.work().await;
    world.assert_consistent();
    assert_eq!(world.authorities(), ["active.crt", "active.key", "retired.crt"]);
    assert_eq!(world.server.text("keyward-ca", "active.crt").unwrap(), next);
    assert_eq!(world.server.text("keyward-ca", "retired.crt").unwrap(), first);
    assert_ne!(world.server.text("keyward-broker-tls", "tls.crt").unwrap(), broker);
    world.age(REISSUED);
    world.work().await;
    world.assert_consistent();
    assert_eq!(world.authorities(), ["active.crt", "active.key"]);
    let metadata = &world.server.get(&secret("keyward-ca")).unwrap()["metadata"];
    assert_eq!(
        (&metadata["annotations"], &metadata["labels"]["theirs"]),
        (&json!({"theirs": "stays"}), &json!("stays"))
    );
    assert_eq!(world.server.events(), ["AuthorityMade", "RotationBegun", "AuthorityActivated", "RotationEnded"]);
}

#[tokio::test]
async fn it_is_not_activated_before_every_namespace_knows_it() {
    let mut world = World::settled().await;
    world.keeper.looks = Some(Looks::default());
    world.server.edit(&secret("keyward-ca"), |object| {
        object["metadata"]["annotations"] = json!({"keyward.dev/rotate": "now"});
    });
    world.work().await;
    let turn = world.keeper.turn().await;
    assert!(turn.spreading.is_some());
    let published = || world.server.get(&secret("keyward-ca")).unwrap().pointer(PUBLISHED).cloned();
    assert_eq!(published(), None);
    world.keeper.looks = None;
    world.work().await;
    assert!(world.server.get(&secret("keyward-ca")).unwrap().pointer(PUBLISHED).is_some());
}

#[tokio::test]
async fn of_two_who_believe_to_lead_one_fails_and_takes_up_what_the_other_wrote() {
    let mut world = World::start();
    let (early, now) = (world.keeper.look().await.unwrap(), SystemTime::now());
    let mut other = keeper(&world.server, Outlets::new(Readiness::new()), &mut Registry::default());
    other.turn().await;
    let theirs = world.server.text("keyward-ca", "active.crt").unwrap();
    let error = world.keeper.carry_out(plan::Step::MakeAuthority, &early, now).await.unwrap_err();
    assert!(error.is_outdated(), "{error}");
    // The same with a replacement of what was looked at before.
    let stale = world.keeper.look().await.unwrap();
    world.server.edit(&secret("keyward-ca"), |object| object["metadata"]["labels"] = json!({"x": "y"}));
    let error = world.keeper.carry_out(plan::Step::Prepare, &stale, now).await.unwrap_err();
    assert!(error.is_outdated(), "{error}");
    world.work().await;
    assert_eq!(world.server.text("keyward-ca", "active.crt").unwrap(), theirs);
}

#[tokio::test]
async fn hooks_that_changed_meanwhile_are_looked_at_again() {
    let mut world = World::settled().await;
    world.server.edit(HOOKS, |object| object["webhooks"][1]["clientConfig"]["caBundle"] = "".into());
    let stale = world.keeper.look().await.unwrap();
    world.server.edit(HOOKS, |object| {
        object["webhooks"].as_array_mut().unwrap().remove(0);
    });
    assert!(world.keeper.carry_out(plan::Step::WriteHooks, &stale, SystemTime::now()).await.is_err());
    world.work().await;
    world.assert_consistent();
}

#[tokio::test]
async fn what_is_refused_rests_and_everything_else_goes_on() {
    let mut world = World::start();
    world.server.put(HOOKS, json!({"metadata": {}, "webhooks": [{"clientConfig": {}}]}));
    world.server.refuse(HOOKS, 403);
    world.work().await;
    assert!(world.server.text("keyward-webhook-tls", "tls.crt").is_some());
    assert_eq!(world.readiness.status(), Status::Ready);
    let asked = world.server.writes().iter().filter(|(method, _)| method == http::Method::PATCH).count();
    assert_eq!(asked, 1);
    world.server.allow();
    world.keeper.resting = Resting::default();
    world.work().await;
    world.assert_consistent();
}

#[tokio::test]
async fn a_replica_that_leads_again_publishes_nothing_it_knew_before() {
    let world = World::settled().await;
    assert!(world.keeper.outlets.bundle.borrow().is_some());
    assert!(world.keeper.outlets.begin().is_none());
    assert!(world.keeper.outlets.bundle.borrow().is_none() && world.keeper.outlets.shown().is_none());
}
