//! Pods as they were read a moment ago, for while the API server does not answer: for as long as a token's own verdict is kept
//! ([`crate::authn::verdicts`]). What a pod carries cannot change. Its status may be older than the node's, as any status may:
//! it can hide a restart, and never shows one that was not.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;

use super::pod::Pod;
use crate::authn::verdicts::MAX_AGE;

/// Pods at most; about 2 KiB each. Those beyond it wait for the API server.
const MOST: u64 = 10_000;

/// How long the API server is waited for where there is something to fall back on.
pub(super) const HURRY: Duration = Duration::from_millis(500);

/// The pods, by UID.
pub(super) struct Kept(Cache<String, Arc<Pod>>);

impl Default for Kept {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(MAX_AGE).build())
    }
}

impl Kept {
    /// What was read of it.
    pub(super) async fn get(&self, uid: &str) -> Option<Arc<Pod>> {
        self.0.get(uid).await
    }

    /// Keeps what was read just now.
    pub(super) async fn keep(&self, pod: &Arc<Pod>) {
        self.0.insert(pod.uid.clone(), Arc::clone(pod)).await;
    }

    /// It is gone, or nothing of it will start again.
    pub(super) async fn forget(&self, uid: &str) {
        self.0.invalidate(uid).await;
    }
}
