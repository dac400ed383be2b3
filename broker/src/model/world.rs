//! The real parts around the recorded vault, and what happens to them.

use std::sync::Arc;

use futures::future::join_all;
use keyward_types::Reference;
use tokio::{
    task::JoinHandle,
    time::{Duration, Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    judge::{Answer, Asked, Judge, MAX_STALE, POLL_INTERVAL},
    story::{Event, OBJECTS, Story},
    vault::{Opener, Vault, name},
};
use crate::{
    cache::{CacheKey, LoadError, ObjectCache},
    changes::Changes,
    peers::board::Board,
    policy::{Current, testing},
    poll::{Poller, Refresh as _, Refresher, Settings},
    readers::Readers,
    resolve::{Outcome, ResolveError, Resolver},
    testing::{metrics, secret, snapshot},
    vault::testing::secret as object,
};

/// The broker's parts, the vault, and who judges them.
pub(super) struct World {
    vault: Vault,
    cache: ObjectCache,
    resolver: Resolver,
    refresher: Refresher,
    poller: JoinHandle<()>,
    stop: CancellationToken,
    judge: Judge,
}

impl World {
    /// Lets the story happen; an error says which answer was wrong.
    pub(super) async fn tell(story: &Story) -> Result<(), String> {
        let mut world = Self::new(story);
        let told = world.happen(&story.events).await;
        world.stop.cancel();
        world.poller.await.map_err(|error| error.to_string())?;
        told.and(Judge::judge_calls(&world.vault.record().calls, story.budget))
    }

    fn new(story: &Story) -> Self {
        let vault = Vault::new(story.latency);
        let secrets: String = (0..OBJECTS).map(|n| secret("shop", &name(n), "acme", &name(n))).collect();
        let current = Arc::new(Current::new(snapshot(&format!("{}{secrets}", declaration(story.budget)))));
        let readers = Arc::new(Readers::new(Opener(vault.clone()), metrics()));
        let max_bytes = if story.tiny { 4 * 600 } else { 1 << 20 };
        let cache = ObjectCache::new(max_bytes, TaskTracker::new(), Changes::default());
        // Seldom enough that only polls find anything.
        let settings = Settings { reread_after: Duration::from_secs(24 * 3_600), chance: || 0.5 };
        let (poller, refresher) =
            Poller::new(cache.clone(), Arc::clone(&readers), Arc::clone(&current), Board::alone(1).watch(), settings);
        let stop = CancellationToken::new();
        Self {
            vault,
            resolver: Resolver::new(current, cache.clone(), readers),
            cache,
            refresher,
            poller: tokio::spawn(poller.run(stop.clone())),
            stop,
            judge: Judge::new(story.tiny),
        }
    }

    async fn happen(&mut self, events: &[Event]) -> Result<(), String> {
        for event in events {
            match event.clone() {
                Event::Write(n) => self.vault.record().change(|vault, now| vault.write(n, now)),
                Event::Delete(n) => self.vault.record().change(|vault, _| vault.delete(n)),
                Event::Enable(n, enabled) => self.vault.record().change(|vault, now| vault.enable(n, enabled, now)),
                Event::Lag(n, lags) => self.vault.record().change(|vault, _| vault.lag(n, lags)),
                Event::Rights(rights) => self.vault.record().change(|vault, _| vault.rights(rights)),
                Event::Fault(fault) => self.vault.record().change(|vault, _| vault.fault(fault)),
                Event::Resolve(objects) => {
                    let answers = self.resolve(&objects).await;
                    self.judge_all(&objects, &[answers])?;
                }
                Event::Crowd(callers) => {
                    let objects: Vec<_> = (0..OBJECTS).collect();
                    let answers = join_all((0..callers).map(|_| self.resolve(&objects))).await;
                    self.judge_all(&objects, &answers)?;
                }
                Event::Refresh => drop(self.refresher.refresh(None).await),
                Event::Forget(n) => {
                    let vault = testing::vault(SPEC);
                    self.cache
                        .forget(&Arc::new(CacheKey {
                            vault: Arc::clone(&vault.id),
                            object: Arc::new(object(&name(n))),
                        }))
                        .await;
                    self.judge.forget(n);
                }
                Event::Wait(time) => sleep(time).await,
            }
        }
        Ok(())
    }

    async fn resolve(&self, objects: &[usize]) -> (Asked, Vec<Answer>) {
        let at = Instant::now();
        let references = objects.iter().map(|n| Reference::new(&name(*n), None).unwrap()).collect();
        let outcomes = self.resolver.resolve("shop", references).await;
        let asked = Asked { at, answered: Instant::now() };
        (asked, outcomes.iter().zip(objects).map(|(outcome, n)| answer(outcome, *n)).collect())
    }

    /// Judges what callers got who asked at the same time, each by what was known before.
    fn judge_all(&mut self, objects: &[usize], answers: &[(Asked, Vec<Answer>)]) -> Result<(), String> {
        let record = self.vault.record();
        let all = || answers.iter().flat_map(|(asked, answers)| objects.iter().zip(answers).map(|one| (*asked, one)));
        for (asked, (n, answer)) in all() {
            self.judge.judge(&record, *n, asked, answer)?;
        }
        for (asked, (n, answer)) in all() {
            self.judge.note(*n, asked, answer);
        }
        Ok(())
    }
}

const SPEC: &str = "{vaultName: acme}";

fn declaration(budget: u32) -> String {
    format!(
        "---\napiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {{name: acme}}\n\
         spec: {{vaultName: acme, pollInterval: {}s, maxStale: {}s, budget: {{requestsPer10Seconds: {budget}}}, \
         namespaces: {{names: [shop]}}}}\n",
        POLL_INTERVAL.as_secs(),
        MAX_STALE.as_secs(),
    )
}

/// What a caller was told, by the text that it got alone.
fn answer(outcome: &Outcome, n: usize) -> Answer {
    match &outcome.value {
        Ok(value) => {
            let text = value.expose_str().unwrap();
            let version = text.strip_prefix(&format!("kwcanary-{}-", name(n))).expect("the object that was asked for");
            let trail = outcome.trail.as_ref().unwrap();
            let (served, _) = trail.served.as_ref().unwrap();
            let version: u32 = version.parse().unwrap();
            assert_eq!(served.version.to_string(), format!("{version:032x}"), "the value of its version");
            Answer::Value(version, trail.stale.unwrap_or_default())
        }
        Err(ResolveError::Load { source: LoadError::Read(error), .. }) if error.is_refusal() => Answer::Refused,
        Err(error) => Answer::Outage(error.to_string()),
    }
}
