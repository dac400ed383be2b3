//! Changes that become visible together, and what comes between.

use std::{collections::BTreeSet, future::pending, num::NonZeroU32};

use async_trait::async_trait;
use keyward_types::{ObjectVersion, SecretBytes};

use super::*;
use crate::object::{Attributes, Stamp};

/// What a replica of ours hears, in order. It never gets ready where `hangs`.
#[derive(Default)]
pub(super) struct Recorder {
    heard: std::sync::Mutex<Vec<String>>,
    hangs: bool,
}

impl Recorder {
    fn note(&self, word: &str, key: &CacheKey) {
        self.heard.lock().unwrap().push(format!("{word} {}", key.object.name));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

#[async_trait]
impl Others for Recorder {
    async fn read(&self, _: &CacheKey) -> Option<Result<Entry, LoadError>> {
        None
    }

    async fn elsewhere(&self, _: &VaultId, _: Option<&CacheKey>) {
        pending::<()>().await;
    }

    async fn prepare(&self, batch: &Arc<Batch>) {
        self.heard.lock().unwrap().push(format!("prepare {}", batch.changes.len()));
        if self.hangs {
            pending::<()>().await;
        }
    }

    fn commit(&self, batch: &Arc<Batch>) {
        self.heard.lock().unwrap().push(format!("commit {}", batch.changes.len()));
    }

    fn landed(&self, key: &Arc<CacheKey>, _: &Arc<Entry>, news: News) {
        self.note(&format!("landed {news:?}"), key);
    }

    fn forgotten(&self, key: &Arc<CacheKey>) {
        self.note("forgotten", key);
    }

    fn confirmed(&self, _: &Arc<VaultId>, _: Instant, unconfirmed: &[Arc<CacheKey>]) {
        self.heard.lock().unwrap().push(format!("confirmed but {}", unconfirmed.len()));
    }
}

fn among(recorder: &Arc<Recorder>) -> Fixture {
    let others: Arc<dyn Others> = Arc::clone(recorder) as _;
    let cache = ObjectCache::among(1 << 20, TaskTracker::new(), Changes::default(), others);
    Fixture { cache, ..fixture(ACME) }
}

const PEER: Kept = Kept { by: Keeper(7), since_read: Duration::ZERO, since_confirmed: Duration::ZERO, order: 0 };

/// What another replica read now: version `number`, of which the vault here need not know.
pub(super) fn copy(name: &str, number: u32) -> Arc<Entry> {
    copy_with(Attributes::default(), name, number)
}

/// The same, of a version that was created in that second.
fn created(name: &str, number: u32) -> Arc<Entry> {
    let at = time::OffsetDateTime::from_unix_timestamp(i64::from(number)).unwrap();
    copy_with(Attributes { created: Some(at), ..Attributes::default() }, name, number)
}

fn copy_with(attributes: Attributes, name: &str, number: u32) -> Arc<Entry> {
    let value = SecretBytes::from(format!("kwcanary-{name}-{number}"));
    let version = ObjectVersion::new(&format!("{number:032x}")).unwrap();
    Arc::new(Entry::mirrored(version, attributes, Stamp::default(), Object::Secret(value), PEER, Instant::now()))
}

#[tokio::test(start_paused = true)]
async fn word_of_an_earlier_version_that_seems_a_little_later_takes_nothing_back() {
    let all = fixture(ACME);
    let key = all.shared("s1");
    all.cache.mirror(Arc::clone(&key), created("s1", 2), News::Landed).await;
    for (later, expected) in [(400, "kwcanary-s1-2"), (700, "kwcanary-s1-1")] {
        advance(Duration::from_millis(later)).await;
        // Of another teller, read before: when, is known roughly.
        let entry = created("s1", 1);
        all.cache.mirror(Arc::clone(&key), entry, News::Changed).await;
        assert_eq!(text(&all.cache.held(&key).unwrap()), expected, "{later}");
    }
}

impl Fixture {
    fn shared(&self, name: &str) -> Arc<CacheKey> {
        Arc::new(self.key(name))
    }

    async fn found(&self, name: &str) -> (Arc<CacheKey>, Found) {
        let key = self.shared(name);
        match self.cache.check(&key, &self.vault, Class::ChangeCheck).await.unwrap() {
            Checked::Changed(found) => (key, found),
            Checked::Same => panic!("`{name}` has changed"),
        }
    }

    fn batch(&self, changes: Vec<(Arc<CacheKey>, Found)>) -> Batch {
        Batch { vault: Arc::clone(self.vault.id()), changes }
    }

    /// What is held of each as of one moment: the number of its version, or 0.
    async fn look(&self, names: &[&str]) -> Result<Vec<u32>, LoadError> {
        let settings = self.vault.settings();
        let keys: Vec<_> = names.iter().map(|name| self.key(name)).collect();
        let wanted: Vec<_> = keys.iter().map(|key| (key.borrowed(), &*settings)).collect();
        let number = |served: Option<Served>| {
            served.map_or(0, |served| text(&served.entry).rsplit('-').next().unwrap().parse().unwrap())
        };
        Ok(self.cache.hits(&wanted).await?.into_iter().map(number).collect())
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_poll_is_seen_before_its_swap_and_all_of_it_after() {
    let all = fixture(ACME);
    for name in ["s1", "s2", "s3"] {
        all.value(name).await.unwrap();
    }
    all.fake.set("s1");
    all.fake.set("s2");
    all.fake.delete("s3");
    all.fake.set("s4-new");
    let changes = vec![all.found("s1").await, all.found("s2").await, all.found("s3").await, all.found("s4-new").await];
    let names = ["s1", "s2", "s3", "s4-new"];
    assert_eq!(all.look(&names).await.unwrap(), [1, 1, 1, 0]);
    all.cache.swap(all.batch(changes)).await;
    assert_eq!(all.look(&names).await.unwrap(), [2, 2, 0, 1]);
    all.fake.take_calls();
    assert!(matches!(all.value("s3").await, Err(LoadError::Read(ReadError::NotFound))));
    assert!(all.fake.take_calls().is_empty(), "and the vault is not asked again at once");
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_what_is_held_back_waits_until_it_is_swapped_in() {
    let all = fixture(ACME);
    for name in ["s1", "s2", "s3"] {
        all.value(name).await.unwrap();
    }
    let held = all.cache.hold(all.batch(vec![
        (all.shared("s1"), Found::Entry(copy("s1", 2))),
        (all.shared("s2"), Found::Refused(ReadAt::here(Instant::now()))),
    ]));
    let began = Instant::now();
    assert_eq!(all.look(&["s3"]).await.unwrap(), [1]);
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody waits for what concerns others");
    let (seen, ()) = tokio::join!(all.look(&["s3", "s2", "s1"]), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        held.commit().await;
    });
    assert_eq!((seen.unwrap(), began.elapsed()), (vec![1, 0, 2], Duration::from_millis(300)));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_for_somebody_who_vanished_goes_forward_within_a_second() {
    for (vanish, within) in
        [((|held| drop(held)) as fn(Held), Duration::ZERO), (|held| std::mem::forget(held), HELD_AT_MOST)]
    {
        let all = fixture(ACME);
        all.value("s1").await.unwrap();
        let began = Instant::now();
        vanish(all.cache.hold(all.batch(vec![(all.shared("s1"), Found::Entry(copy("s1", 2)))])));
        assert_eq!(all.value("s1").await.unwrap(), "kwcanary-s1-2");
        assert!(began.elapsed() <= within, "{:?}", began.elapsed());
        assert!(all.cache.peek(&all.key("s1"), &all.vault.settings()).await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_earlier_does_not_land_behind_what_was_asked_for_later() {
    let all = fixture(ACME);
    // A cold read is under way while another replica's later one lands.
    all.fake.shut();
    let cold = all.ask("s1");
    all.fake.arrived(1).await;
    advance(Duration::from_millis(5)).await;
    all.cache.mirror(all.shared("s1"), copy("s1", 2), News::Changed).await;
    all.fake.let_in(100);
    cold.await.unwrap().unwrap();
    assert_eq!(all.look(&["s1"]).await.unwrap(), [2]);

    // A poll has found a version; before its swap the vault refuses the object, and says so to somebody else.
    all.value("s2").await.unwrap();
    all.fake.set("s2");
    let found = all.found("s2").await;
    advance(Duration::from_millis(5)).await;
    all.fake.delete("s2");
    assert!(all.check("s2").await.unwrap());
    all.cache.swap(all.batch(vec![found])).await;
    assert_eq!(all.look(&["s2"]).await.unwrap(), [0], "no value behind a refusal");

    // A poll has found a version; before its swap another look at it gets no answer, which says nothing.
    all.value("s4").await.unwrap();
    all.fake.set("s4");
    let found = all.found("s4").await;
    advance(Duration::from_millis(5)).await;
    all.fake.break_object("s4", true);
    assert!(all.check("s4").await.is_err());
    all.cache.swap(all.batch(vec![found])).await;
    assert_eq!(all.look(&["s4"]).await.unwrap(), [2]);

    // A poll was refused; before its swap the object is to be had again.
    all.value("s3").await.unwrap();
    all.fake.enable("s3", false);
    let refused = all.found("s3").await;
    advance(Duration::from_millis(5)).await;
    all.fake.set("s3");
    assert!(all.check("s3").await.unwrap());
    all.cache.swap(all.batch(vec![refused])).await;
    assert_eq!(all.look(&["s3"]).await.unwrap(), [2]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_polls_read_and_has_nothing_else_is_served_by_it_and_again() {
    let all = fixture(ACME);
    all.fake.shut();
    let poll = {
        let (cache, vault, key) = (all.cache.clone(), Arc::clone(&all.vault), all.shared("s1"));
        tokio::spawn(async move { cache.check(&key, &vault, Class::ChangeCheck).await })
    };
    all.fake.arrived(1).await;
    let caller = all.ask("s1");
    tokio::task::yield_now().await;
    all.fake.let_in(1);
    caller.await.unwrap().unwrap();
    assert!(matches!(poll.await.unwrap(), Ok(Checked::Changed(_))));
    assert_eq!(all.look(&["s1"]).await.unwrap(), [1]);
    assert_eq!(all.fake.take_calls(), ["get s1"]);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_never_gets_ready_holds_no_swap_up_for_a_second() {
    let recorder = Arc::new(Recorder { hangs: true, ..Recorder::default() });
    let all = among(&recorder);
    all.value("s1").await.unwrap();
    all.fake.set("s1");
    let (batch, began) = (all.batch(vec![all.found("s1").await]), Instant::now());
    let (cache, names) = (all.cache.clone(), ["s1"]);
    let swap = tokio::spawn(async move { cache.swap(batch).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        all.look(&names).await.unwrap(),
        [1],
        "until then nobody waits, and everybody has what was there before"
    );
    swap.await.unwrap();
    assert_eq!((all.look(&names).await.unwrap(), began.elapsed()), (vec![2], PREPARED_WITHIN));
}

#[tokio::test(start_paused = true)]
async fn a_swap_goes_on_without_whoever_began_it() {
    let recorder = Arc::new(Recorder { hangs: true, ..Recorder::default() });
    let all = among(&recorder);
    all.value("s1").await.unwrap();
    all.fake.set("s1");
    let batch = all.batch(vec![all.found("s1").await]);
    assert!(tokio::time::timeout(Duration::from_millis(10), all.cache.swap(batch)).await.is_err());
    tokio::time::sleep(PREPARED_WITHIN).await;
    assert_eq!(all.look(&["s1"]).await.unwrap(), [2]);
}

#[tokio::test(start_paused = true)]
async fn the_others_hear_of_everything_in_the_order_in_which_it_happened() {
    let recorder = Arc::new(Recorder::default());
    let all = among(&recorder);
    for name in ["s1", "s2"] {
        all.value(name).await.unwrap();
    }
    assert_eq!(recorder.take(), ["landed Landed s1", "landed Landed s2"]);
    all.check("s1").await.unwrap();
    assert_eq!(recorder.take(), ["landed Same s1"], "its stamp may be another one");
    all.fake.set("s1");
    all.fake.delete("s2");
    let (one, other) = (all.found("s1").await, all.found("s2").await);
    assert_eq!(recorder.take(), Vec::<String>::new());
    // Before the swap the vault refuses what it gave a moment ago.
    advance(Duration::from_millis(5)).await;
    all.fake.delete("s1");
    let refused = all.found("s1").await;
    all.cache.swap(all.batch(vec![refused])).await;
    assert_eq!(recorder.take(), ["prepare 1", "commit 1"]);
    all.cache.swap(all.batch(vec![one, other])).await;
    assert_eq!(recorder.take(), ["prepare 2", "commit 2", "forgotten s1"]);
    all.cache.forget(&all.shared("s2")).await;
    assert_eq!(recorder.take(), ["forgotten s2"]);
    all.cache.confirmed(all.vault.id(), Instant::now(), &[all.shared("s3")]);
    assert_eq!(recorder.take(), ["confirmed but 1"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_evicted_is_told_behind_its_landing_and_before_the_next_confirmation() {
    let recorder = Arc::new(Recorder::default());
    let others: Arc<dyn Others> = Arc::clone(&recorder) as _;
    let cache = ObjectCache::among(4 * 600, TaskTracker::new(), Changes::default(), others);
    let all = Fixture { cache, ..fixture(ACME) };
    for n in 0..20 {
        all.value(&format!("s{n}")).await.unwrap();
    }
    all.cache.confirmed(all.vault.id(), Instant::now(), &[]);
    let heard = recorder.take();
    assert_eq!(heard.last().map(String::as_str), Some("confirmed but 0"));
    let mut followers = BTreeSet::new();
    for word in &heard[..heard.len() - 1] {
        match word.rsplit_once(' ').unwrap() {
            ("forgotten", name) => assert!(followers.remove(name), "{heard:?}"),
            (_, name) => assert!(followers.insert(name), "{heard:?}"),
        }
    }
    let held = all.cache.entries().map(|(key, _)| key.object.name.to_string()).collect::<BTreeSet<_>>();
    assert_eq!(followers, held.iter().map(String::as_str).collect(), "a follower holds what is held here");
}

#[tokio::test(start_paused = true)]
async fn only_its_keeper_confirms_a_copy_or_takes_it_back() {
    let all = fixture(ACME);
    let (own, others, vault) = (all.shared("s1"), all.shared("s2"), all.vault.id());
    all.value("s1").await.unwrap();
    all.cache.mirror(Arc::clone(&others), copy("s2", 2), News::Landed).await;
    let (now, nothing) = (Instant::now() + Duration::from_secs(60), HashSet::new());
    advance(Duration::from_secs(60)).await;
    let ages = || {
        let held = all.cache.entries();
        let mut ages: Vec<_> = held.map(|(key, held)| (key.object.name.to_string(), held.age(now).as_secs())).collect();
        ages.sort();
        ages.into_iter().map(|(_, age)| age).collect::<Vec<_>>()
    };
    let peer = |number| Keeper::other(NonZeroU32::new(number).unwrap());
    all.cache.confirm_all(peer(8), vault, now, &nothing);
    all.cache.confirm_all(peer(7), vault, now, &HashSet::from([Arc::clone(&others)]));
    assert_eq!(ages(), [60, 60]);
    all.cache.confirm_all(peer(7), vault, now, &nothing);
    assert_eq!(ages(), [60, 0]);
    for key in [&own, &others] {
        all.cache.forget_kept_by(peer(8), key).await;
    }
    assert!(all.cache.holds(&own) && all.cache.holds(&others));

    // What was read here and is the same there is kept there from now on.
    let told = all.cache.entries().find(|(key, _)| *key == own).unwrap().1;
    let kept = Kept { since_read: Duration::from_secs(90), ..PEER };
    let object = Object::Secret(SecretBytes::from("kwcanary-s1-1"));
    let copy = Entry::mirrored(told.version.clone(), told.attributes, told.stamp, object, kept, now);
    all.cache.mirror(Arc::clone(&own), Arc::new(copy), News::Landed).await;
    assert_eq!(told.keeper(), peer(7));
    all.cache.forget_kept_by(peer(7), &own).await;
    assert!(!all.cache.holds(&own));
}

/// Swaps without end are the worst that can happen to whoever looks: it ends even so.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_look_ends_however_often_swaps_begin() {
    let all = fixture(ACME);
    for name in ["s1", "s2"] {
        all.value(name).await.unwrap();
    }
    let stop = tokio_util::sync::CancellationToken::new();
    let storm = {
        let (transitions, stop) = (all.cache.transitions.clone(), stop.clone());
        tokio::task::spawn_blocking(move || {
            while !stop.is_cancelled() {
                drop(transitions.begin(HashSet::new()));
            }
        })
    };
    for _ in 0..1_000 {
        let seen = all.look(&["s1", "s2"]).await;
        assert!(matches!(seen.as_deref(), Ok([1, 1]) | Err(LoadError::Unsettled)), "{seen:?}");
    }
    stop.cancel();
    storm.await.unwrap();
    assert_eq!(all.look(&["s1", "s2"]).await.unwrap(), [1, 1]);
}
