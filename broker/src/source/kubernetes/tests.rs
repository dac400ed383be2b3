//! The watches against a scripted API server over a socket.

use keyward_kit::ready::{Readiness, Status};
use keyward_tests::api::{ApiServer, Resource, SECRETS, VAULTS};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{status::StatusWriter, *};
use crate::{
    changes::Change,
    cluster::testing::cluster,
    policy::{DefaultAccess, testing::defaults},
};

const ACME: &str = "metadata: {name: acme}\nspec: {vaultName: acme, namespaces: {names: [shop]}}\n";

struct World {
    api: ApiServer,
    current: Arc<Current>,
    changes: Changes,
    health: Arc<Health>,
    readiness: Readiness,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl World {
    /// A broker's watches of what `api` holds.
    fn watching(api: ApiServer) -> Self {
        let current = Arc::new(Current::new(Snapshot::unread(defaults(DefaultAccess::Deny))));
        let (changes, health, readiness) = (Changes::default(), Arc::<Health>::default(), Readiness::new());
        let (verdicts, wanted) = watch::channel(Arc::default());
        let audience = Audience {
            current: Arc::clone(&current),
            changes: changes.clone(),
            vaults_changed: Box::new(|_| {}),
            verdicts,
            health: Arc::clone(&health),
        };
        let (client, shutdown) = (cluster(&api).client, CancellationToken::new());
        let watches = Kubernetes::new(client.clone(), defaults(DefaultAccess::Deny), audience);
        let (started, stop, mut tasks) = (readiness.require("objects"), shutdown.clone(), JoinSet::new());
        tasks.spawn(async move {
            let Ok(()) = watches.run(started, stop).await;
        });
        tasks.spawn(StatusWriter::new(client, wanted).run(shutdown.clone()));
        Self { api, current, changes, health, readiness, shutdown, tasks }
    }

    /// Of the secrets `db` and `mail` in `shop`, and a vault.
    async fn start() -> Self {
        let api = ApiServer::start().await.unwrap();
        api.apply(VAULTS, ACME);
        api.put(SECRETS, secret("db", "db"));
        api.put(SECRETS, secret("mail", "mail"));
        let world = Self::watching(api);
        world.readiness.ready().await;
        world
    }

    /// Returns once a snapshot is `ready`. A test that waits for what does not come fails by this.
    async fn until(&self, ready: impl Fn(&Snapshot) -> bool) {
        self.current.until(Instant::now() + Duration::from_secs(60), &ready).await;
        assert!(ready(&self.current.load()), "it did not come: {:?}", self.api.requests());
    }

    async fn end(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

fn secret(name: &str, object: &str) -> Value {
    json!({
        "metadata": { "namespace": "shop", "name": name },
        "spec": { "vault": { "name": "acme", "object": { "name": object, "type": "secret" } } },
    })
}

fn object_of(snapshot: &Snapshot, name: &str) -> Option<String> {
    snapshot.secret("shop", name)?.as_ref().ok().map(|entry| entry.object.name.to_string())
}

#[tokio::test]
async fn nothing_is_said_before_all_was_listed_page_by_page() {
    let api = ApiServer::start().await.unwrap();
    api.hold(VAULTS);
    api.apply(VAULTS, ACME);
    for n in 0..600 {
        api.put(SECRETS, secret(&format!("s{n}"), "db"));
    }
    api.put(Resource::NAMESPACES, json!({ "metadata": { "name": "shop", "labels": { "tier": "gold" } } }));
    let world = World::watching(api);
    world.api.asked(|asked| asked.uri.contains("azurekeyvaultsecrets") && asked.uri.contains("watch=true")).await;
    world.api.asked(|asked| asked.uri.contains("/namespaces") && asked.uri.contains("watch=true")).await;
    assert!(!world.current.load().is_complete());
    assert_eq!(world.readiness.status(), Status::Pending(vec!["objects"]));
    world.api.release();
    world.readiness.ready().await;
    let snapshot = world.current.load_full();
    assert_eq!(snapshot.secrets().count(), 600);
    assert_eq!(snapshot.namespace_labels("shop").unwrap()["tier"], "gold");
    let lists: Vec<_> = world.api.requests().into_iter().filter(|asked| !asked.uri.contains("watch=true")).collect();
    let pages = lists.iter().filter(|asked| asked.uri.contains("azurekeyvaultsecrets")).count();
    assert_eq!(pages, 3, "{lists:?}");
    let namespaces = lists.iter().find(|asked| asked.uri.contains("/namespaces")).unwrap();
    assert!(namespaces.accept.contains("PartialObjectMetadata"), "{namespaces:?}");
    assert!(!world.api.requests().iter().any(|asked| asked.uri.contains("/secrets")), "Secrets are never listed");
    world.end().await;
}

#[tokio::test]
async fn what_happens_is_seen_and_an_invalid_object_is_in_nobody_s_way() {
    let world = World::start().await;
    assert_eq!(object_of(&world.current.load(), "db").as_deref(), Some("db"));
    world.api.put(SECRETS, secret("odd", "a/b"));
    world.until(|snapshot| snapshot.secret("shop", "odd").is_some_and(Result::is_err)).await;
    world.api.put(SECRETS, secret("db", "other"));
    world.until(|snapshot| object_of(snapshot, "db").as_deref() == Some("other")).await;
    world.api.delete(SECRETS, "shop", "odd");
    world.until(|snapshot| snapshot.secret("shop", "odd").is_none()).await;
    assert!(world.current.load().problems().is_empty());
    world.end().await;
}

#[tokio::test]
async fn what_was_deleted_unheard_is_gone_after_a_new_list() {
    let world = World::start().await;
    world.api.delete_unheard(SECRETS, "shop", "mail");
    world.until(|snapshot| snapshot.secret("shop", "mail").is_none()).await;
    assert!(object_of(&world.current.load(), "db").is_some());
    assert_eq!(world.health.failures(Watched::Secrets), 0, "to begin anew is no failure");
    world.end().await;
}

#[tokio::test]
async fn a_bookmark_changes_nothing_and_a_watch_goes_on_from_it() {
    let world = World::start().await;
    world.api.put(SECRETS, secret("new", "new"));
    world.until(|snapshot| object_of(snapshot, "new").is_some()).await;
    let (before, watches) = (world.current.load_full(), watches(&world.api));
    world.api.bookmark();
    world.api.end_watches();
    world.api.until(|api| super::tests::watches(api) >= watches + 3).await;
    world.api.put(SECRETS, secret("newer", "newer"));
    world.until(|snapshot| object_of(snapshot, "newer").is_some()).await;
    let lists = world.api.requests().iter().filter(|asked| !asked.uri.contains("watch=true")).count();
    assert!(lists <= 3 + 1, "nothing was listed again but a status may have been written: {:?}", world.api.requests());
    assert!(before.secret("shop", "newer").is_none());
    world.end().await;
}

fn watches(api: &ApiServer) -> usize {
    api.requests().iter().filter(|asked| asked.uri.contains("watch=true")).count()
}

#[tokio::test]
async fn while_the_api_server_is_gone_the_last_state_holds_and_is_known_to_be_old() {
    let world = World::start().await;
    assert!(Watched::ALL.iter().all(|watched| world.health.is_well(*watched)));
    let asked = world.api.requests().len();
    world.api.down();
    world.api.until(|api| api.requests().len() > asked + 6).await;
    assert!(Watched::ALL.iter().any(|watched| !world.health.is_well(*watched)));
    assert!(object_of(&world.current.load(), "db").is_some());
    world.api.put(SECRETS, secret("late", "late"));
    world.api.up();
    world.until(|snapshot| object_of(snapshot, "late").is_some()).await;
    assert!(world.health.is_well(Watched::Secrets));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_two_thousand_makes_few_snapshots_and_the_last_has_all() {
    let world = World::start().await;
    let (before, began) = (world.health.snapshots(), Instant::now());
    for n in 0..2_000 {
        world.api.put(SECRETS, secret(&format!("s{n}"), &format!("o{n}")));
        if n % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    world.until(|snapshot| snapshot.secrets().count() == 2_002).await;
    let made = world.health.snapshots() - before;
    let most = began.elapsed().as_millis() / PACE.as_millis() + 2;
    assert!(u128::from(made) <= most, "{made} snapshots, at most {most}");
    assert_eq!(object_of(&world.current.load(), "s1999").as_deref(), Some("o1999"));
    world.end().await;
}

#[tokio::test]
async fn who_listens_hears_of_policy_and_not_of_secrets() {
    let world = World::start().await;
    let mut told = world.changes.listen();
    world.api.put(SECRETS, secret("new", "new"));
    world.until(|snapshot| object_of(snapshot, "new").is_some()).await;
    world.api.apply(VAULTS, &ACME.replace("[shop]}", "[shop]}, objects: [{names: [db, new]}]"));
    let Change::Secrets(names) = told.recv().await.unwrap() else { panic!("by name") };
    assert_eq!(names.iter().map(|(_, name)| name.as_ref()).collect::<Vec<_>>(), ["mail"]);
    world.end().await;
}

#[tokio::test]
async fn each_declaration_s_status_says_what_became_of_it_and_is_written_once() {
    let world = World::start().await;
    let ready = |api: &ApiServer, name: &str| {
        let vault = api.get(VAULTS, "", name)?;
        let condition = vault.pointer("/status/conditions/0")?.clone();
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        Some((text("status"), text("reason"), vault["status"]["observedGeneration"].as_i64()?))
    };
    let says = |status: &str, reason: &str, generation| Some((status.to_owned(), reason.to_owned(), generation));
    world.api.until(|api| ready(api, "acme") == says("True", "Accepted", 1)).await;
    world
        .api
        .apply(VAULTS, "metadata: {name: newer, creationTimestamp: 2026-02-01T00:00:00Z}\nspec: {vaultName: acme}\n");
    world.api.until(|api| ready(api, "newer") == says("False", "Conflict", 1)).await;
    world.api.apply(VAULTS, &ACME.replace("vaultName: acme", "vaultName: acme, pollInterval: soon"));
    world.api.until(|api| ready(api, "acme") == says("False", "Invalid", 2)).await;
    world.api.until(|api| ready(api, "newer") == says("True", "Accepted", 1)).await;
    // Two replicas have nothing to fight about: a second one finds every word written.
    let patches = |api: &ApiServer| api.requests().iter().filter(|asked| asked.method == "PATCH").count();
    let World { api, .. } = stopped(world).await;
    let written = patches(&api);
    let second = World::watching(api);
    second.readiness.ready().await;
    second.api.put(SECRETS, secret("last", "last"));
    second.until(|snapshot| object_of(snapshot, "last").is_some()).await;
    assert_eq!(patches(&second.api), written);
    second.end().await;
}

/// The world with its tasks ended.
async fn stopped(mut world: World) -> World {
    world.shutdown.cancel();
    while let Some(ended) = world.tasks.join_next().await {
        ended.unwrap();
    }
    world
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_fails_again_and_again_is_tried_ever_more_rarely_and_anew_after_a_while() {
    let mut pauses = Pauses::default();
    let mut taken = Vec::new();
    for _ in 0..12 {
        let pause = pauses.next().unwrap();
        taken.push(pause);
        // To begin a list is told as well, before each that fails.
        pauses.reset();
        tokio::time::advance(pause).await;
    }
    assert!(taken[0] <= Pauses::FIRST && taken[11] >= Pauses::LONGEST / 2, "{taken:?}");
    assert!(taken.iter().all(|pause| *pause <= Pauses::LONGEST), "{taken:?}");
    tokio::time::advance(Pauses::WHILE + Duration::from_secs(1)).await;
    assert!(pauses.next().unwrap() <= Pauses::FIRST);
}
