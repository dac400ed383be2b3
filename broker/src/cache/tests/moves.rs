//! A vault goes to another replica while somebody here waits for its budget.

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    swap::{Recorder, copy},
    *,
};
use crate::budget::Share;

/// Another replica, which owns the vault once it `owns` it.
struct Owner {
    owns: watch::Sender<bool>,
    rest: Recorder,
}

#[async_trait]
impl Others for Owner {
    async fn read(&self, _: &CacheKey) -> Option<Result<Entry, LoadError>> {
        let entry = Arc::into_inner(copy("s1", 7)).unwrap();
        self.owns.borrow().then_some(Ok(entry))
    }

    async fn elsewhere(&self, _: &VaultId, _: Option<&CacheKey>) {
        self.owns.subscribe().wait_for(|owns| *owns).await.unwrap();
    }

    async fn prepare(&self, batch: &Arc<Batch>) {
        self.rest.prepare(batch).await;
    }

    fn commit(&self, batch: &Arc<Batch>) {
        self.rest.commit(batch);
    }

    fn landed(&self, key: &Arc<CacheKey>, entry: &Arc<Entry>, news: News) {
        self.rest.landed(key, entry, news);
    }

    fn forgotten(&self, key: &Arc<CacheKey>) {
        self.rest.forgotten(key);
    }

    fn confirmed(&self, vault: &Arc<VaultId>, began: Instant, unconfirmed: &[Arc<CacheKey>]) {
        self.rest.confirmed(vault, began, unconfirmed);
    }
}

/// Nothing is left to spend here, and nobody else owns the vault yet.
fn spent() -> (Fixture, Arc<Owner>) {
    let owner = Arc::new(Owner { owns: watch::Sender::new(false), rest: Recorder::default() });
    let others: Arc<dyn Others> = Arc::clone(&owner) as _;
    let cache = ObjectCache::among(1 << 20, TaskTracker::new(), Changes::default(), others);
    let all = Fixture { cache, ..fixture(ACME) };
    all.vault.gate().set_share(Share { own: false, lent: 0, of: 2, since: None });
    (all, owner)
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_budget_as_the_vault_moves_is_answered_by_its_next_owner() {
    let (all, owner) = spent();
    let asked = all.ask("s1");
    advance(Duration::from_secs(5)).await;
    assert!(!asked.is_finished());
    owner.owns.send_replace(true);
    let served = timeout(Duration::from_secs(1), asked).await.expect("it goes on waiting").unwrap().unwrap();
    assert_eq!(text(&served.entry), "kwcanary-s1-7");
    assert_eq!(all.fake.take_calls(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn who_shares_the_read_of_a_poll_that_ends_as_the_vault_moves_is_answered_too() {
    let (all, owner) = spent();
    let (key, cache, vault) = (Arc::new(all.key("s1")), all.cache.clone(), Arc::clone(&all.vault));
    let check = tokio::spawn(async move { cache.check(&key, &vault, Class::ChangeCheck).await });
    tokio::task::yield_now().await;
    let asked = all.ask("s1");
    advance(Duration::from_secs(5)).await;
    owner.owns.send_replace(true);
    let within = Duration::from_secs(1);
    let checked = timeout(within, check).await.expect("the poll goes on waiting").unwrap();
    assert!(matches!(checked, Err(LoadError::Interrupted)));
    let served = timeout(within, asked).await.expect("it goes on waiting").unwrap().unwrap();
    assert_eq!(text(&served.entry), "kwcanary-s1-7");
    assert_eq!(all.fake.take_calls(), Vec::<String>::new());
}
