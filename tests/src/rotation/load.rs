//! Callers of every kind, each one call after the other, from the start to the end.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    calls::{Calls, Kind},
    served::Served,
    stand::Stand,
};

/// Between two calls: the processors are for servers too.
const PACE: Duration = Duration::from_millis(25);
/// A process is dearer than a call.
const LAUNCH_PACE: Duration = Duration::from_millis(400);
/// What takes longer has failed. A launcher's own deadline is half of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody who calls.
pub(super) trait Caller: Send + 'static {
    /// The `number`th time.
    fn call(&mut self, number: usize) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// All callers, at work until dropped or told to stop.
pub struct Load {
    /// What became of their calls.
    pub calls: Arc<Calls>,
    /// Which certificates they saw.
    pub served: Arc<Served>,
    stop: CancellationToken,
    callers: JoinSet<()>,
}

impl Load {
    /// Begins to call.
    pub fn start(stand: &Stand) -> anyhow::Result<Self> {
        let (calls, served) = (Arc::default(), Arc::new(Served::default()));
        let mut load =
            Self { calls, served: Arc::clone(&served), stop: CancellationToken::new(), callers: JoinSet::new() };
        load.add(Kind::ResolveAnew, PACE, stand.pod("checkout-1", &served)?.anew());
        load.add(Kind::ResolveAnew, PACE, stand.pod("checkout-2", &served)?.anew());
        load.add(Kind::ResolveKept, PACE, stand.pod("checkout-3", &served)?.kept());
        load.add(Kind::Launch, LAUNCH_PACE, stand.launcher("checkout-4")?);
        load.add(Kind::ReviewAnew, PACE, stand.reviewer(&served)?.anew());
        load.add(Kind::ReviewKept, PACE, stand.reviewer(&served)?.kept());
        Ok(load)
    }

    fn add(&mut self, kind: Kind, pace: Duration, mut caller: impl Caller) {
        let (calls, stop) = (Arc::clone(&self.calls), self.stop.clone());
        self.callers.spawn(async move {
            for number in 0.. {
                let ended = timeout(PATIENCE, caller.call(number)).await;
                let ended = ended.with_context(|| format!("no answer within {PATIENCE:?}")).flatten();
                calls.note(kind, &ended);
                if stop.run_until_cancelled(sleep(pace)).await.is_none() {
                    break;
                }
            }
        });
    }

    /// Lets calls under way end, and begins no more.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.callers.join_next().await {
            ended.context("a caller")?;
        }
        Ok(())
    }
}
