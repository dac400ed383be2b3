//! `--source kubernetes`: `AzureKeyVaultSecret`s, `AzureKeyVault`s and namespaces' labels, as the API server tells.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`raw`] | an object of which nothing is understood but its metadata | none: pure |
//! | [`inventory`], `secrets`, `vaults`, `table` | events → what is known → a snapshot | none: pure |
//! | `affected` | two snapshots → which secrets are granted otherwise | none: pure |
//! | [`status`] | what an `AzureKeyVault`'s status says; the task that writes it | API server |
//! | [`health`] | how the watches are doing | none |
//!
//! Nothing is published before all three kinds were listed completely: until then nothing is known, and nobody is told
//! that something is not there. A watch that is down afterwards leaves what was heard last in force.
//!
//! Events come one by one, snapshots do not: the first after a rest is published at once, and while more pour in the next
//! one comes [`PACE`] later.

mod affected;
pub mod health;
pub mod inventory;
pub mod raw;
mod secrets;
pub mod status;
mod table;
mod vaults;

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use k8s_openapi::api::core::v1::Namespace;
use keyward_crds::{akvs, azure_key_vault};
use keyward_kit::ready::Guard;
use kube::{
    Api, Client,
    core::{ApiResource, PartialObjectMeta},
    runtime::{
        WatchStreamExt as _,
        utils::Backoff,
        watcher::{self, watcher},
    },
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use self::{
    health::{Health, Watched},
    inventory::{Heard, Inventory, Published},
    raw::Raw,
    status::Verdict,
};
use crate::{
    changes::Changes,
    policy::{Current, Defaults, Snapshot},
};

/// At least between two snapshots.
pub const PACE: Duration = Duration::from_millis(25);

/// Objects of one page of a list: what is held of it at a time.
const PAGE: u32 = 250;

/// Where snapshots go, and who hears of them.
pub struct Audience {
    /// Where the snapshot is looked at.
    pub current: Arc<Current>,
    /// Who is told which secrets are granted otherwise.
    pub changes: Changes,
    /// Called where the use for vaults has changed.
    pub vaults_changed: Box<dyn Fn(&Snapshot) + Send>,
    /// What is to be written into statuses.
    pub verdicts: watch::Sender<Arc<[Verdict]>>,
    /// How the watches are doing.
    pub health: Arc<Health>,
}

/// The watches, and what they have told.
pub struct Kubernetes {
    client: Client,
    inventory: Inventory,
    audience: Audience,
}

impl Kubernetes {
    /// Watches by `client`.
    pub fn new(client: Client, defaults: Defaults, audience: Audience) -> Self {
        Self { client, inventory: Inventory::new(defaults), audience }
    }

    /// Until `shutdown`. Drops `started` once the first snapshot is there.
    pub async fn run(mut self, started: Guard, shutdown: CancellationToken) -> Result<(), Infallible> {
        let mut started = Some(started);
        let mut events = pin!(stream::select_all([
            objects(&self.client, &akvs::api_resource(), Watched::Secrets, Heard::Secret),
            objects(&self.client, &azure_key_vault::api_resource(), Watched::Vaults, Heard::Vault),
            namespaces(&self.client),
        ]));
        let mut due = Instant::now();
        loop {
            let has_news = self.inventory.has_news();
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Some((watched, event)) = events.next() => self.hear(watched, event),
                () = sleep_until(due), if has_news => {
                    self.publish();
                    drop(started.take());
                    due = Instant::now() + PACE;
                }
            }
        }
    }

    fn hear(&mut self, watched: Watched, event: watcher::Result<Heard>) {
        match event {
            Ok(heard) => {
                // That a list begins says nothing yet: it was not even asked for.
                if !heard.is_only_a_beginning() {
                    self.audience.health.heard(watched);
                }
                self.inventory.hear(heard);
            }
            Err(error) => self.audience.health.failed(watched, &error),
        }
    }

    fn publish(&mut self) {
        if let Some(Published { snapshot, policy, vaults, problems }) = self.inventory.publish() {
            let (before, after) = (self.audience.current.load_full(), Arc::new(snapshot));
            self.audience.current.publish(Arc::clone(&after));
            self.audience.health.published();
            if !before.is_complete() {
                let (secrets, vaults) = (after.secrets().count(), after.vaults().count());
                tracing::info!(secrets, vaults, access = ?after.defaults().access, "objects of the cluster read");
            }
            for problem in problems {
                tracing::warn!(object = problem.object, reason = problem.reason, "object refused");
            }
            if vaults {
                (self.audience.vaults_changed)(&after);
            }
            if let Some(change) = policy.then(|| affected::change(&before, &after)).flatten() {
                self.audience.changes.tell(change);
            }
        }
        self.audience.verdicts.send_if_modified(|verdicts| {
            let differs = **verdicts != *self.inventory.verdicts();
            if differs {
                *verdicts = self.inventory.verdicts().into();
            }
            differs
        });
    }
}

type Events = BoxStream<'static, (Watched, watcher::Result<Heard>)>;

fn objects(
    client: &Client,
    resource: &ApiResource,
    watched: Watched,
    heard: fn(watcher::Event<Raw>) -> Heard,
) -> Events {
    let api: Api<Raw> = Api::all_with(client.clone(), resource);
    let events = watcher(api, watcher::Config::default().page_size(PAGE)).backoff(Pauses::default());
    events.map(move |event| (watched, event.map(heard))).boxed()
}

fn namespaces(client: &Client) -> Events {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let events = watcher(api, watcher::Config::default().page_size(PAGE)).backoff(Pauses::default());
    events.map(|event| (Watched::Namespaces, event.map(Heard::Namespace))).boxed()
}

/// Between attempts of a watch that fails: from [`Pauses::FIRST`], twice as long each time, up to [`Pauses::LONGEST`].
///
/// They begin anew when none was taken for a while, and not at each event that is no failure: to begin a list is one, and
/// comes before every list that fails.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
    last: Option<Instant>,
}

impl Pauses {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(15);
    const WHILE: Duration = Duration::from_secs(60);
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: Self::FIRST, last: None }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        if self.last.replace(now).is_some_and(|last| now - last > Self::WHILE) {
            self.next = Self::FIRST;
        }
        let pause = self.next;
        self.next = (pause * 2).min(Self::LONGEST);
        // Spread, so that replicas do not come all at once.
        Some(pause.mul_f64(0.5 + fastrand::f64() / 2.0))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests;
