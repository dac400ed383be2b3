//! Rounds against a vault in memory.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use keyward_types::ObjectVersion;
use tokio::{
    task::JoinHandle,
    time::{Instant, advance},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Owned, Poller, Refresh as _, Refreshed, Refresher, Settings, round::Rounds};
use crate::{
    cache::{CacheKey, LoadError, ObjectCache},
    changes::{Change, Changes},
    manifests,
    object::Object,
    peers::board::Board,
    policy::{Current, DefaultAccess, Snapshot, testing},
    readers::{OpenVault, Readers},
    vault::{
        ReadError,
        testing::{FakeVault, secret},
    },
};

mod confirmation;
mod failures;
mod hints;
mod ownership;
mod snapshot;

struct Fixture {
    fake: FakeVault,
    vault: Arc<OpenVault>,
    readers: Arc<Readers>,
    rounds: Rounds,
    changes: Changes,
}

fn snapshot_of(text: &str) -> Snapshot {
    Snapshot::build(testing::defaults(DefaultAccess::Deny), manifests::read("f", text))
}

/// Manifests of the vault and of a secret for each of `names`.
fn snapshot(names: &[String]) -> Snapshot {
    snapshot_of(&manifests_of(names))
}

fn manifests_of(names: &[String]) -> String {
    let vault = "apiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {name: test}\n\
                 spec: {vaultName: acme, pollInterval: 60s, namespaces: {names: [shop]}}\n";
    let secrets = names.iter().map(|name| {
        format!(
            "---\napiVersion: spv.no/v1\nkind: AzureKeyVaultSecret\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{vault: {{name: acme, object: {{name: {name}, type: secret}}}}}}\n"
        )
    });
    std::iter::once(vault.to_owned()).chain(secrets).collect()
}

/// A vault of `size` secrets, of which `used` were read already.
async fn fixture(size: usize, used: usize) -> Fixture {
    let fake = FakeVault::with_secrets(size);
    let names: Vec<String> = (0..used).map(|n| format!("s{n}")).collect();
    let (readers, vault) = fake.open(&testing::vault("{vaultName: acme, pollInterval: 60s}"));
    let changes = Changes::default();
    let rounds = Rounds {
        cache: ObjectCache::new(16 << 20, TaskTracker::new(), changes.clone()),
        snapshot: Arc::new(Current::new(snapshot(&names))),
        reread_after: Duration::from_secs(24 * 3_600),
    };
    let all = Fixture { fake, vault, readers, rounds, changes };
    for name in names {
        all.value(&name).await.unwrap();
    }
    all.fake.take_calls();
    all
}

impl Fixture {
    fn key(&self, name: &str) -> CacheKey {
        CacheKey { vault: Arc::clone(self.vault.id()), object: Arc::new(secret(name)) }
    }

    async fn value(&self, name: &str) -> Result<String, LoadError> {
        let served = self.rounds.cache.get(&self.key(name), &self.vault).await?;
        let Object::Secret(value) = &served.entry.object else { panic!("a secret") };
        Ok(value.expose_str().unwrap().to_owned())
    }

    /// One round, and the calls it made.
    async fn round(&self) -> (Refreshed, Vec<String>) {
        let refreshed = self.rounds.run(&self.vault).await;
        (refreshed, self.fake.take_calls())
    }

    fn poller(&self) -> (Refresher, CancellationToken, JoinHandle<()>) {
        self.poller_of(Board::alone(1).watch())
    }

    fn poller_of(&self, owned: Owned) -> (Refresher, CancellationToken, JoinHandle<()>) {
        let Rounds { cache, snapshot, .. } = self.rounds.clone();
        let settings = Settings { reread_after: Duration::from_secs(24 * 3_600), chance: || 1.0 };
        let (poller, refresher) = Poller::new(cache, Arc::clone(&self.readers), snapshot, owned, settings);
        let stop = CancellationToken::new();
        let running = tokio::spawn(poller.run(stop.clone()));
        (refresher, stop, running)
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_over_what_has_not_changed_takes_the_cheaper_way() {
    for (used, first, then) in [(400, 16, 16), (5, 10, 5), (1, 1, 1), (0, 0, 0)] {
        let all = fixture(400, used).await;
        for calls in [first, then, then] {
            let (refreshed, made) = all.round().await;
            assert_eq!((made.len(), refreshed.checked), (calls, used as u64), "{used} in use: {made:?}");
            assert_eq!((refreshed.changed, refreshed.error), (0, None));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_changed_is_read_and_told() {
    let all = fixture(400, 400).await;
    let mut told = all.changes.listen();
    all.fake.set("s7");
    let (refreshed, made) = all.round().await;
    assert_eq!((refreshed.changed, made.len()), (1, 17));
    assert_eq!(made.iter().filter(|call| *call == "get s7").count(), 1);
    assert_eq!(all.value("s7").await.unwrap(), "kwcanary-s7-2");
    assert_eq!(told.try_recv().unwrap(), Change::Object(Arc::new(all.key("s7"))));
    assert!(told.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn what_changed_a_moment_ago_is_read_again_because_its_stamp_may_hide_more() {
    let all = fixture(400, 400).await;
    all.fake.set("s7");
    all.round().await;
    all.fake.set("s7");
    let (_, made) = all.round().await;
    assert!(made.contains(&"get s7".to_owned()), "the stamp is the same, to the second");
    assert_eq!(all.value("s7").await.unwrap(), "kwcanary-s7-3");
    all.fake.later(10);
    assert_eq!(all.round().await.1.len(), 17, "still hot when it was read");
    assert_eq!(all.round().await.1.len(), 16);
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_serving_within_one_round() {
    for (calls, error, refuse) in [
        (17, ReadError::Disabled, (|fake: &FakeVault| fake.enable("s7", false)) as fn(&FakeVault)),
        (17, ReadError::NotFound, |fake| fake.delete("s7")),
    ] {
        let all = fixture(400, 400).await;
        refuse(&all.fake);
        let (refreshed, made) = all.round().await;
        assert_eq!((refreshed.changed, made.len(), refreshed.error), (1, calls, None));
        let answer = all.value("s7").await.unwrap_err();
        assert!(matches!(&answer, LoadError::Read(found) if *found == error), "{answer}");
        assert!(all.fake.take_calls().is_empty(), "and the vault is not asked by those who come now");
        assert_eq!(all.round().await.1.len(), 16, "nor by the next round, as long as nothing changes");
    }
}

#[tokio::test(start_paused = true)]
async fn taken_rights_end_serving_within_one_round_and_an_outage_does_not() {
    let forbidden = ReadError::Forbidden("ForbiddenByRbac".into());
    let outages = [
        ReadError::Unreachable("status 503".into()),
        ReadError::NoToken("down".into()),
        ReadError::Malformed("no JSON".into()),
        ReadError::Throttled { retry_after: Some(Duration::from_secs(2)) },
    ];
    let all = fixture(400, 40).await;
    all.fake.outage(Some(forbidden));
    assert_eq!(all.round().await.0.changed, 40);
    assert!(all.value("s7").await.is_err());
    for outage in outages {
        let all = fixture(400, 40).await;
        all.fake.outage(Some(outage.clone()));
        let (refreshed, made) = all.round().await;
        assert!(refreshed.error.is_some() && refreshed.changed == 0, "{outage}: {refreshed:?}");
        assert!(made.len() <= 2, "{outage}: the round ends there: {made:?}");
        assert_eq!(all.value("s7").await.unwrap(), "kwcanary-s7-1", "{outage}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_is_found_by_a_round() {
    let all = fixture(400, 400).await;
    all.fake.enable("s7", false);
    all.round().await;
    let mut told = all.changes.listen();
    all.fake.enable("s7", true);
    all.round().await;
    assert_eq!(told.try_recv().unwrap(), Change::Object(Arc::new(all.key("s7"))));
    assert_eq!(all.value("s7").await.unwrap(), "kwcanary-s7-1");
}

#[tokio::test(start_paused = true)]
async fn a_pinned_version_is_checked_by_its_own_read() {
    let all = fixture(400, 400).await;
    let version = ObjectVersion::new(&format!("{:032x}", 1)).unwrap();
    let manifest = format!(
        "apiVersion: spv.no/v1\nkind: AzureKeyVaultSecret\nmetadata: {{name: pinned, namespace: shop}}\n\
         spec: {{vault: {{name: acme, object: {{name: s7, type: secret, version: '{version}'}}}}}}\n"
    );
    let vault = "---\napiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {name: test}\n\
         spec: {vaultName: acme, namespaces: {names: [shop]}}\n";
    let read = manifests::read("f", &format!("{manifest}{vault}"));
    all.rounds.snapshot.publish(Arc::new(Snapshot::build(testing::defaults(DefaultAccess::Deny), read)));
    let key = CacheKey {
        object: Arc::new(crate::object::ObjectId { version: Some(version), ..secret("s7") }),
        ..all.key("s7")
    };
    all.rounds.cache.get(&key, &all.vault).await.unwrap();
    all.fake.take_calls();
    assert_eq!(all.round().await.1, ["get s7"]);
    all.fake.enable("s7", false);
    assert_eq!(all.round().await.0.changed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_refuses_to_be_listed_is_read_object_by_object_and_not_asked_again_for_a_while() {
    let all = fixture(400, 40).await;
    all.fake.refuse_list(true);
    assert_eq!(all.round().await.1.len(), 41);
    assert_eq!(all.vault.progress().mode(), "get: list refused");
    assert_eq!(all.round().await.1.len(), 40);
    advance(Duration::from_secs(600)).await;
    all.fake.refuse_list(false);
    assert_eq!(all.round().await.1.len(), 16);
    assert_eq!(all.vault.progress().mode(), "list");
}

#[tokio::test(start_paused = true)]
async fn everything_is_read_again_once_in_a_while_whatever_the_listing_says() {
    let all = fixture(400, 400).await;
    advance(all.rounds.reread_after.mul_f64(0.7)).await;
    assert_eq!(all.round().await.1.len(), 16);
    advance(all.rounds.reread_after.mul_f64(0.2)).await;
    let some = all.round().await.1.len();
    assert!((50..400).contains(&some), "not all at once: {some}");
    advance(all.rounds.reread_after.mul_f64(0.11)).await;
    assert_eq!(some + all.round().await.1.len(), 16 + 16 + 400);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_may_ask_for_any_more_is_forgotten() {
    let all = fixture(400, 40).await;
    all.rounds.snapshot.publish(Arc::new(snapshot(&["s0".to_owned(), "s1".to_owned()])));
    assert_eq!(all.round().await.0.checked, 2);
    all.rounds.cache.settle();
    assert_eq!(all.rounds.cache.totals().entries, 2);
}

#[tokio::test(start_paused = true)]
async fn rounds_come_within_the_interval_and_soon_after_a_failure() {
    let all = fixture(400, 40).await;
    let (_, stop, running) = all.poller();
    let began = Instant::now();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for second in 1..=300 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if second == 130 {
            all.fake.outage(Some(ReadError::Unreachable("status 503".into())));
        }
        if second == 205 {
            all.fake.outage(None);
        }
        if !all.fake.take_calls().is_empty() {
            seen.lock().unwrap().push(began.elapsed().as_secs());
        }
    }
    stop.cancel();
    running.await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert!(matches!(seen[..], [59..=61, 119..=121, ..]), "{seen:?}");
    let after = seen.iter().find(|at| **at >= 205).unwrap();
    assert!(*after <= 236, "the vault is back, and found to be within the longest pause: {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn an_operator_waits_for_a_round_that_began_after_the_question() {
    let all = fixture(400, 1).await;
    let (refresher, stop, running) = all.poller();
    all.fake.shut();
    let first = {
        let refresher = refresher.clone();
        tokio::spawn(async move { refresher.refresh(None).await })
    };
    all.fake.arrived(2).await;
    all.fake.set("s0");
    let second = {
        let refresher = refresher.clone();
        tokio::spawn(async move { refresher.refresh(None).await })
    };
    tokio::task::yield_now().await;
    all.fake.let_in(2);
    assert_eq!(first.await.unwrap()[0].changed, 0, "it had its answer before the change");
    assert_eq!(second.await.unwrap()[0].changed, 1);
    let elsewhere = crate::vault::origin::Origin::parse("https://other.vault.azure.net").unwrap();
    assert_eq!(refresher.refresh(Some(&elsewhere)).await, []);
    stop.cancel();
    running.await.unwrap();
    assert_eq!(refresher.refresh(None).await, [], "after the end there is an end too");
}
