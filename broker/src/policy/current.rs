//! The snapshot that holds now, and word of the next one.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::Snapshot;

/// Where a source publishes and everyone else looks.
#[derive(Debug)]
pub struct Current {
    snapshot: ArcSwap<Snapshot>,
    published: watch::Sender<()>,
}

impl Current {
    /// `snapshot` holds first.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot: ArcSwap::from_pointee(snapshot), published: watch::Sender::new(()) }
    }

    /// What holds now; not to be kept for long.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// What holds now.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// `snapshot` holds from now on.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.snapshot.store(snapshot);
        self.published.send_replace(());
    }

    /// Returns once everything that is declared is known.
    pub async fn until_complete(&self) {
        self.holds(Snapshot::is_complete).await;
    }

    /// Returns once a snapshot holds that is `ready`, or at `deadline`.
    pub async fn until(&self, deadline: Instant, ready: impl Fn(&Snapshot) -> bool) {
        // Late is no error.
        let _ = timeout_at(deadline, self.holds(ready)).await;
    }

    async fn holds(&self, ready: impl Fn(&Snapshot) -> bool) {
        let mut published = self.published.subscribe();
        // The sender lives as long as `self`.
        while !ready(&self.load()) && published.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing;

    fn later(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_by_the_snapshot_it_waits_for() {
        let current = Current::new(testing::snapshot(""));
        let known = |snapshot: &Snapshot| snapshot.secret("shop", "db").is_some();
        let publish = async {
            current.publish(Arc::new(testing::snapshot(&testing::secret("shop", "mail", "acme", "mail"))));
            tokio::time::sleep(Duration::from_secs(1)).await;
            current.publish(Arc::new(testing::snapshot(&testing::secret("shop", "db", "acme", "db"))));
        };
        let began = Instant::now();
        tokio::join!(current.until(later(3_600), known), publish);
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        current.until(later(0), known).await;
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_beyond_the_deadline() {
        let current = Current::new(testing::snapshot(""));
        let began = Instant::now();
        current.until(later(2), |_| false).await;
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }
}
