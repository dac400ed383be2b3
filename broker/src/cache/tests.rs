//! The cache against a vault in memory.

use std::time::Duration;

use keyward_types::ObjectKind;
use moka::future::Cache;
use tokio::{task::JoinHandle, time::advance};

use super::{flights::Passengers, *};
use crate::{
    changes::Change,
    object::Object,
    policy::testing,
    vault::testing::{FakeVault, secret},
};

mod moves;
mod swap;

struct Fixture {
    cache: ObjectCache,
    fake: FakeVault,
    vault: Arc<OpenVault>,
}

fn fixture(spec: &str) -> Fixture {
    let fake = FakeVault::with_secrets(100);
    let (_, vault) = fake.open(&testing::vault(spec));
    Fixture { cache: ObjectCache::new(1 << 20, TaskTracker::new(), Changes::default()), fake, vault }
}

const ACME: &str = "{vaultName: acme, pollInterval: 60s, maxStale: 1h}";

impl Fixture {
    fn key(&self, name: &str) -> CacheKey {
        CacheKey { vault: Arc::clone(self.vault.id()), object: Arc::new(secret(name)) }
    }

    fn ask(&self, name: &str) -> JoinHandle<Result<Served, LoadError>> {
        let (cache, vault, key) = (self.cache.clone(), Arc::clone(&self.vault), self.key(name));
        tokio::spawn(async move { cache.get(&key, &vault).await })
    }

    async fn value(&self, name: &str) -> Result<String, LoadError> {
        self.cache.get(&self.key(name), &self.vault).await.map(|served| text(&served.entry))
    }

    /// Checks as a poll of this one object does. Whether anything has changed.
    async fn check(&self, name: &str) -> Result<bool, LoadError> {
        let (cache, key) = (&self.cache, Arc::new(self.key(name)));
        let changes = match cache.check(&key, &self.vault, Class::ChangeCheck).await? {
            Checked::Same => vec![],
            Checked::Changed(found) => vec![(key, found)],
        };
        let changed = !changes.is_empty();
        cache.swap(Batch { vault: Arc::clone(self.vault.id()), changes }).await;
        Ok(changed)
    }
}

fn text(entry: &Entry) -> String {
    let Object::Secret(value) = &entry.object else { panic!("a secret") };
    value.expose_str().unwrap().to_owned()
}

#[tokio::test]
async fn ten_thousand_at_once_cost_one_read() {
    let all = fixture(ACME);
    all.fake.shut();
    let waiting: Vec<_> = (0..10_000).map(|_| all.ask("s1")).collect();
    all.fake.arrived(1).await;
    all.fake.let_in(1);
    for one in waiting {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!(all.fake.take_calls(), ["get s1"]);
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_restart_the_read() {
    let all = fixture(ACME);
    all.fake.shut();
    let first = all.ask("s1");
    all.fake.arrived(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let second = all.ask("s1");
    all.fake.let_in(1);
    assert!(second.await.unwrap().is_ok());
    assert_eq!(all.fake.take_calls(), ["get s1"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_shared_and_remembered_for_a_moment() {
    let all = fixture(ACME);
    for (calls, wait) in [(vec!["get none"], 1), (vec![], 10), (vec!["get none"], 0)] {
        assert!(matches!(all.value("none").await, Err(LoadError::Read(ReadError::NotFound))));
        assert_eq!(all.fake.take_calls(), calls);
        advance(Duration::from_secs(wait)).await;
    }
    all.fake.set("none");
    advance(Duration::from_secs(10)).await;
    assert_eq!(all.value("none").await.unwrap(), "kwcanary-none-1");
}

#[tokio::test(start_paused = true)]
async fn a_refused_identity_counts_once_a_new_token_is_refused_too() {
    let all = fixture(ACME);
    all.fake.outage(Some(ReadError::Forbidden("ForbiddenByRbac".into())));
    assert!(matches!(all.value("s1").await, Err(LoadError::Read(ReadError::Forbidden(_)))));
    assert_eq!(all.fake.take_calls(), ["get s1", "renew", "get s1"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_no_new_token_can_confirm_is_an_outage() {
    let all = fixture(ACME);
    all.value("s1").await.unwrap();
    all.fake.take_calls();
    all.fake.outage(Some(ReadError::Forbidden("ForbiddenByRbac".into())));
    all.fake.no_new_token();
    assert!(matches!(all.check("s1").await, Err(LoadError::Read(ReadError::NoToken(_)))));
    assert_eq!(all.fake.take_calls(), ["get s1", "renew"]);
    assert_eq!(all.value("s1").await.unwrap(), "kwcanary-s1-1");
}

#[tokio::test]
async fn a_read_that_succeeds_lifts_the_refusal_before_it() {
    let all = fixture(ACME);
    all.value("none").await.unwrap_err();
    assert_eq!(all.cache.refused().len(), 1);
    all.fake.set("none");
    assert!(all.check("none").await.unwrap());
    assert!(all.cache.refused().is_empty());
}

#[test]
fn a_certificate_costs_two_requests() {
    for (kind, requests) in [(ObjectKind::Secret, 1), (ObjectKind::Key, 1), (ObjectKind::Certificate, 2)] {
        assert_eq!(cost(&ObjectId { kind, ..secret("s1") }), requests, "{kind}");
    }
}

/// moka's own `insert` and `invalidate` do not stop a load that is under way: its older value lands behind them.
#[tokio::test]
async fn a_load_that_moka_has_under_way_outlives_an_invalidation() {
    let (cache, door) = (Cache::<u8, u8>::new(10), Arc::new(tokio::sync::Notify::new()));
    let (loading, opened) = (cache.clone(), Arc::clone(&door));
    let load = tokio::spawn(async move {
        loading
            .get_with(1, async {
                opened.notified().await;
                1
            })
            .await
    });
    tokio::task::yield_now().await;
    cache.invalidate(&1).await;
    door.notify_one();
    load.await.unwrap();
    assert_eq!(cache.get(&1).await, Some(1), "should this fail, moka has become better and `flights` could be simpler");
}

#[tokio::test]
async fn an_older_value_never_lands_behind_a_newer_one() {
    let all = fixture(ACME);
    all.fake.shut();
    let cold = all.ask("s1");
    all.fake.arrived(1).await;
    // The first read has its answer and is slow to bring it; now a check is made of the value that came after.
    all.fake.set("s1");
    let check = {
        let (cache, vault, key) = (all.cache.clone(), Arc::clone(&all.vault), Arc::new(all.key("s1")));
        tokio::spawn(async move { cache.check(&key, &vault, Class::ChangeCheck).await })
    };
    tokio::task::yield_now().await;
    assert_eq!(all.fake.take_calls(), ["get s1"], "the check waits for the read that began before it");
    all.fake.let_in(2);
    assert_eq!(text(&cold.await.unwrap().unwrap().entry), "kwcanary-s1-1");
    let Checked::Changed(found) = check.await.unwrap().unwrap() else { panic!("it found the value that came after") };
    assert_eq!(all.value("s1").await.unwrap(), "kwcanary-s1-1", "which nobody sees before it is swapped in");
    let (vault, key) = (Arc::clone(all.vault.id()), Arc::new(all.key("s1")));
    all.cache.swap(Batch { vault, changes: vec![(key, found)] }).await;
    assert_eq!(all.value("s1").await.unwrap(), "kwcanary-s1-2");
}

#[tokio::test]
async fn a_replica_that_lags_behind_takes_nothing_back() {
    let all = fixture(ACME);
    all.fake.set("s1");
    assert_eq!(all.value("s1").await.unwrap(), "kwcanary-s1-2");
    all.fake.lag("s1");
    assert!(!all.check("s1").await.unwrap());
    assert_eq!(all.value("s1").await.unwrap(), "kwcanary-s1-2");
    assert_eq!(all.cache.totals().older, 1);
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_insists_on_an_older_version_is_believed_once_the_newer_one_may_not_be_served() {
    let all = fixture(ACME);
    all.fake.set("s1");
    all.value("s1").await.unwrap();
    // Restored from a backup, say: nothing will ever confirm the newer version.
    all.fake.lag("s1");
    advance(all.vault.settings().fresh_for() + Duration::from_secs(3_599)).await;
    all.check("s1").await.unwrap();
    assert_eq!(all.value("s1").await.unwrap(), "kwcanary-s1-2", "stale");
    advance(Duration::from_secs(2)).await;
    assert_eq!(all.value("s1").await.unwrap(), "kwcanary-s1-1");
}

#[tokio::test(start_paused = true)]
async fn an_object_is_as_old_as_its_request_and_not_as_the_wait_for_the_budget() {
    let all = fixture("{vaultName: acme, pollInterval: 60s, budget: {requestsPer10Seconds: 10}}");
    for n in 0..15 {
        let name = format!("s{n}");
        let entry = all.cache.get(&all.key(&name), &all.vault).await.unwrap().entry;
        assert!(entry.age(Instant::now()) < Duration::from_secs(1), "{name}: {:?}", entry.age(Instant::now()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_vault_cannot_confirm_is_served_as_stale_and_then_not_at_all() {
    let all = fixture(ACME);
    all.value("s1").await.unwrap();
    all.fake.outage(Some(ReadError::Unreachable("status 503".into())));
    let fresh = all.vault.settings().fresh_for();
    advance(fresh + Duration::from_secs(60)).await;
    let served = all.cache.get(&all.key("s1"), &all.vault).await.unwrap();
    assert_eq!(served.stale.map(|stale| stale.as_secs()), Some(60));
    assert_eq!(all.fake.take_calls(), ["get s1"], "nobody who asks waits for a vault that is down");
    advance(Duration::from_secs(3_600)).await;
    assert!(matches!(all.value("s1").await, Err(LoadError::Read(ReadError::Unreachable(_)))));
    all.fake.outage(None);
    advance(Duration::from_secs(2)).await;
    assert!(all.cache.get(&all.key("s1"), &all.vault).await.unwrap().stale.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_read_that_waits_for_the_budget_is_given_up_with_its_last_caller() {
    let all = fixture("{vaultName: acme, budget: {requestsPer10Seconds: 10}}");
    for name in ["s1", "s2", "s3", "s4", "s5"] {
        all.value(name).await.unwrap();
    }
    all.fake.take_calls();
    let late = tokio::time::timeout(Duration::from_millis(100), all.value("s6")).await;
    assert!(late.is_err(), "the budget is spent");
    // Long enough for a read that was not given up to be made.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(all.fake.take_calls(), Vec::<String>::new());
    assert!(all.value("s6").await.is_ok());
}

#[tokio::test]
async fn who_comes_as_a_read_is_given_up_has_one_of_his_own() {
    let all = fixture(ACME);
    let (flights, key) = (Flights::new(TaskTracker::new()), all.key("s1"));
    let (leaving, door) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let given_up = {
        let (leaving, door) = (Arc::clone(&leaving), Arc::clone(&door));
        move |waiting: Passengers<u8>| async move {
            waiting.gone().await;
            leaving.notify_one();
            door.notified().await;
            None
        }
    };
    let first = tokio::time::timeout(Duration::from_millis(10), flights.join(&key, given_up)).await;
    assert!(first.is_err());
    leaving.notified().await;
    let second = tokio::spawn({
        let (flights, key) = (flights.clone(), key.clone());
        async move { flights.join(&key, |_| async { Some(2) }).await }
    });
    tokio::task::yield_now().await;
    door.notify_one();
    assert_eq!(second.await.unwrap(), Ok(2), "its own read's outcome");
}

#[tokio::test]
async fn the_bound_holds_and_totals_add_up() {
    let all = Fixture { cache: ObjectCache::new(4 * 600, TaskTracker::new(), Changes::default()), ..fixture(ACME) };
    for n in 0..20 {
        all.value(&format!("s{n}")).await.unwrap();
    }
    all.cache.settle();
    let totals = all.cache.totals();
    assert!(totals.bytes <= totals.max_bytes && totals.entries <= 4, "{totals:?}");
    assert_eq!((totals.hits, totals.misses), (0, 20));
}

#[tokio::test(start_paused = true)]
async fn what_a_read_brings_is_told_once() {
    let mut all = fixture(ACME);
    let changes = Changes::default();
    all.cache = ObjectCache::new(1 << 20, TaskTracker::new(), changes.clone());
    let mut told = changes.listen();
    let key = Arc::new(all.key("s1"));
    for _ in 0..2 {
        all.value("s1").await.unwrap();
    }
    assert_eq!(told.try_recv(), Ok(Change::Landed(Arc::clone(&key))));
    all.fake.set("s1");
    all.check("s1").await.unwrap();
    assert_eq!(told.try_recv(), Ok(Change::Object(Arc::clone(&key))));
    all.check("s1").await.unwrap();
    assert!(told.try_recv().is_err());
    // Too old to be served: a caller reads it, and finds another one.
    all.fake.set("s1");
    advance(Duration::from_secs(3 * 3_600)).await;
    all.value("s1").await.unwrap();
    assert_eq!(told.try_recv(), Ok(Change::Object(key)));
    // Who was told that there is none may have an output, and waits for word.
    assert!(all.value("new").await.is_err());
    all.fake.set("new");
    advance(Duration::from_secs(60)).await;
    all.value("new").await.unwrap();
    assert_eq!(told.try_recv(), Ok(Change::Object(Arc::new(all.key("new")))));
}
