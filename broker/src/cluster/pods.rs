//! A pod, by name: once for each launch, and again while a restart does not show. Never listed, never watched.
//!
//! Whoever has a pod's token may have it read, so reads are bounded as reviews are.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use kube::{Client, api::GetParams, core::Request};

use super::{
    ask::{AskError, ask_for},
    turns::{Bounds, Busy, DEADLINE, Turns},
};
use crate::binding::pod::Pod;

/// Reads pods.
pub struct Pods {
    client: Client,
    turns: Turns,
    counts: Counts,
}

/// How reads have ended.
#[derive(Debug, Default)]
pub struct Counts {
    /// There is such a pod.
    pub found: AtomicU64,
    /// There is none.
    pub missing: AtomicU64,
    /// No answer, or none in time.
    pub failed: AtomicU64,
}

/// Why it is not known what the pod is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PodError {
    /// Too many are wanted.
    #[error("too many pods are read at once")]
    Busy,
    /// The API server.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl fmt::Debug for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pods").finish_non_exhaustive()
    }
}

impl Pods {
    /// Reads by `client`.
    pub fn new(client: Client, bounds: Bounds) -> Self {
        Self { client, turns: Turns::new(bounds), counts: Counts::default() }
    }

    /// How they have ended so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The pod of that name; `None` where there is none.
    pub async fn read(&self, namespace: &str, name: &str) -> Result<Option<Pod>, PodError> {
        let read = self.ask(namespace, name).await;
        let counter = match read {
            Ok(Some(_)) => &self.counts.found,
            Ok(None) => &self.counts.missing,
            Err(_) => &self.counts.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        read
    }

    async fn ask(&self, namespace: &str, name: &str) -> Result<Option<Pod>, PodError> {
        let _turn = self.turns.take().await.map_err(|Busy| PodError::Busy)?;
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let request = Request::new(path).get(name, &GetParams::default()).map_err(|_| AskError::Malformed)?;
        match ask_for(&self.client, request, DEADLINE, |text| Pod::parse(text).ok()).await {
            Ok(pod) => Ok(Some(pod)),
            Err(AskError::Refused { code: 404, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
