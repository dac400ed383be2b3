//! `keyward.v1.Cache`: what operators ask. Never a value.

mod explain;
mod page;
mod refresh;
mod replicas;
mod state;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use keyward_proto::v1::{
    self, ExplainRequest, ExplainResponse, RefreshRequest, RefreshResponse, StatusRequest, StatusResponse,
};
use keyward_types::VaultName;
use tokio::time::{Instant, timeout};
use tonic::{Code, Request, Response, Status};

use self::page::Page;
pub(super) use self::refresh::shown;
use super::errors;
use crate::{
    authn::Authenticator,
    binding::Binding,
    cache::ObjectCache,
    figures::{self, Figures},
    peers::{Peers, view::Standing},
    policy::{Current, Declared, Snapshot, VaultId},
    poll::Refresh,
    readers::Readers,
    resolve::Resolver,
};

/// How long a check of vaults may take that an operator waits for.
const REFRESH_DEADLINE: Duration = Duration::from_secs(60);

/// The service.
pub struct CacheService {
    /// What the manifests say.
    pub snapshot: Arc<Current>,
    /// What is held.
    pub cache: ObjectCache,
    /// Which vaults are open.
    pub readers: Arc<Readers>,
    /// The other replicas.
    pub peers: Arc<Peers>,
    /// What checks vaults now.
    pub refresh: Arc<dyn Refresh>,
    /// Whether a pod's token would be accepted.
    pub authenticator: Arc<dyn Authenticator>,
    /// What binds tokens to their pods, where something does.
    pub binding: Option<Arc<Binding>>,
    /// Whether an object is in memory.
    pub resolver: Resolver,
}

#[tonic::async_trait]
impl v1::cache_server::Cache for CacheService {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let mut page = Page::of(request.get_ref())?;
        self.cache.settle();
        let snapshot = self.snapshot.load_full();
        let figures = figures::all(&self.readers, &self.cache, Instant::now());
        let standing = self.peers.board.standing();
        let vaults = page.vaults(&snapshot, |name, declared| vault(name, declared, &figures, &standing));
        let objects = page.objects(self.cache.entries(), &figures);
        let invalid_manifests = page.problems(snapshot.problems());
        let next_page_token = page.next();
        let totals = Some(self.totals(&snapshot));
        let replicas = replicas::shown(&standing, &self.peers.board.heard(), SystemTime::now());
        Ok(Response::new(StatusResponse { totals, vaults, objects, invalid_manifests, next_page_token, replicas }))
    }

    async fn refresh(&self, request: Request<RefreshRequest>) -> Result<Response<RefreshResponse>, Status> {
        let vault = refresh::named(&self.snapshot.load(), &request.get_ref().vault)?;
        let refreshed = timeout(REFRESH_DEADLINE, self.refresh.refresh(vault.as_ref())).await.map_err(|_| {
            let message = format!("the check did not end within {REFRESH_DEADLINE:?}; it goes on, see the status");
            errors::refusal(Code::DeadlineExceeded, "REFRESH_SLOW", message)
        })?;
        Ok(Response::new(refresh::all_shown(refreshed)))
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        explain::answer(self, request.into_inner()).await.map(Response::new)
    }
}

impl CacheService {
    fn totals(&self, snapshot: &Snapshot) -> v1::CacheTotals {
        let totals = self.cache.totals();
        v1::CacheTotals {
            entries: totals.entries,
            bytes: totals.bytes,
            max_bytes: totals.max_bytes,
            hits: totals.hits,
            misses: totals.misses,
            secrets: snapshot.secrets().count() as u64,
        }
    }
}

fn vault(
    name: &VaultName,
    declared: &Declared,
    figures: &HashMap<Arc<VaultId>, Figures>,
    standing: &Standing,
) -> v1::Vault {
    match declared {
        Declared::Valid(entry) => v1::Vault {
            owner: standing.owner(&entry.origin.to_string()).to_string(),
            ..state::shown(entry, figures.get(&entry.id), SystemTime::now())
        },
        Declared::Invalid(reason) => {
            v1::Vault { name: name.to_string(), problem: page::clipped(reason), ..v1::Vault::default() }
        }
    }
}

#[cfg(test)]
mod tests;
