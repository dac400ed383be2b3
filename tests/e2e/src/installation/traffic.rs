//! What goes on on a cluster while something is done to Keyward: pods are created one after the other, a launcher starts a
//! program again and again, and a value is resolved over a new connection each time, without a second try.
//!
//! The last has what a launcher has: the token and the authority that the kubelet brought to a pod, and the Service.

mod calls;
mod creations;
mod launches;
mod seen;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::Context as _;
use kube::{Api, Client};
use tokio::task::JoinSet;

pub use self::seen::Seen;
use self::{calls::Caller, creations::Creator};
use super::{
    emulator::{SEEDED, VAULT},
    site::Site,
};
use crate::{
    apps::{ENABLED, POD_SOON},
    manifests::akvs,
    wait::until_true,
};

/// Where it goes on.
pub const NAMESPACE: &str = "traffic";

/// The `AzureKeyVaultSecret` that it is about.
const NAME: &str = "db";

/// Its value.
const VALUE: &str = SEEDED.1;

/// Calls that are under way at a time.
const CALLERS: usize = 2;

/// Traffic that goes on until it is told to end.
pub struct Traffic {
    client: Client,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Seen>,
    told_before: usize,
    began: Instant,
}

/// Whether the tasks are to go on.
#[derive(Clone)]
struct Going(Arc<AtomicBool>);

impl Going {
    fn on(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// Makes the namespace and the pod of the launcher, once; returns when that has started its program.
pub async fn prepare(site: &Site) -> anyhow::Result<()> {
    let (enabled, yes) = ENABLED;
    let namespace =
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}, labels: {{{enabled}: {yes}}}}}\n");
    site.apply(&format!("{namespace}---\n{}", akvs(NAMESPACE, NAME, VAULT, SEEDED.0, ""))).await?;
    launches::start(&site.client).await?;
    let launches = async || Ok(!launches::lines(&site.client).await?.is_empty());
    until_true("the first launch", 2 * POD_SOON, launches).await
}

impl Traffic {
    /// Starts it. What [`prepare`] makes is there.
    pub async fn start(site: &Site) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let going = Going(Arc::clone(&stop));
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..CALLERS {
            let caller = Caller::of(&launches::pod(&site.client).await?, began)?;
            tasks.spawn(caller.run(going.clone()));
        }
        tasks.spawn(Creator::new(&site.client, began).run(going));
        let told_before = launches::lines(&site.client).await?.len();
        Ok(Self { client: site.client.clone(), stop, tasks, told_before, began })
    }

    /// Ends it: what there was of each kind.
    pub async fn end(mut self) -> anyhow::Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = Seen::default();
        while let Some(one) = self.tasks.join_next().await {
            seen.add(one.context("a task of the traffic")?);
        }
        let told = launches::lines(&self.client).await?;
        seen.launches = launches::counted(told.get(self.told_before..).unwrap_or_default());
        seen.took = self.began.elapsed();
        Ok(seen)
    }
}

/// The pods of the namespace.
fn pods(client: &Client) -> Api<k8s_openapi::api::core::v1::Pod> {
    Api::namespaced(client.clone(), NAMESPACE)
}
