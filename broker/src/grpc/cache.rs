//! `keyward.v1.Cache`: what operators ask. Never a value.

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use keyward_kit::tls::role::Role;
use keyward_proto::v1::{self, CachedObject, StatusRequest, StatusResponse};
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::peer;
use crate::{
    cache::{CacheKey, Entry, ObjectCache},
    policy::{Declared, Snapshot},
    readers::Readers,
};

const DEFAULT_PAGE: usize = 500;
const MAX_PAGE: usize = 1_000;

/// The service.
pub struct CacheService {
    /// What the manifests say.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// What is held.
    pub cache: ObjectCache,
    /// Which vaults are open.
    pub readers: Arc<Readers>,
    /// Whose certificates count.
    pub trust_domain: String,
}

#[tonic::async_trait]
impl v1::cache_server::Cache for CacheService {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        peer::require(&request, Role::Operator, &self.trust_domain)?;
        let page = Page::of(request.get_ref())?;
        self.cache.settle().await;
        let snapshot = self.snapshot.load_full();
        let (objects, next_page_token) = page.cut(self.cache.entries());
        Ok(Response::new(StatusResponse {
            totals: Some(self.totals(&snapshot)),
            vaults: self.vaults(&snapshot),
            objects,
            invalid_manifests: problems(&snapshot),
            next_page_token,
        }))
    }
    async fn refresh(&self, _: Request<v1::RefreshRequest>) -> Result<Response<v1::RefreshResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn explain(&self, _: Request<v1::ExplainRequest>) -> Result<Response<v1::ExplainResponse>, Status> {
        Err(Status::unimplemented(""))
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

    fn vaults(&self, snapshot: &Snapshot) -> Vec<v1::Vault> {
        let vault = |(name, declared): (&keyward_types::VaultName, &Declared)| match declared {
            Declared::Valid(entry) => v1::Vault {
                name: entry.declared_as.clone(),
                origin: entry.origin.to_string(),
                problem: String::new(),
                requests: self.readers.requests(&entry.origin),
                poll_interval_ms: u64::try_from(entry.poll_interval.as_millis()).unwrap_or(u64::MAX),
                ..v1::Vault::default()
            },
            Declared::Invalid(reason) => {
                v1::Vault { name: name.to_string(), problem: reason.clone(), ..v1::Vault::default() }
            }
        };
        snapshot.vaults().map(vault).collect()
    }
}

fn problems(snapshot: &Snapshot) -> Vec<v1::InvalidManifest> {
    // A directory full of rubbish must not make a status that cannot be sent.
    snapshot
        .problems()
        .iter()
        .take(MAX_PAGE)
        .map(|problem| v1::InvalidManifest {
            place: problem.place.clone(),
            object: problem.object.clone(),
            reason: problem.reason.clone(),
        })
        .collect()
}

/// One page: the objects after a key, in the order of keys, so that a cache that changes between pages repeats nothing.
struct Page {
    size: usize,
    after: Option<String>,
}

impl Page {
    fn of(request: &StatusRequest) -> Result<Self, Status> {
        let size = match request.page_size as usize {
            0 => DEFAULT_PAGE,
            size => size.min(MAX_PAGE),
        };
        if request.page_token.len() > 1_024 {
            return Err(Status::invalid_argument("page_token is not one that this method returned"));
        }
        Ok(Self { size, after: Some(request.page_token.clone()).filter(|token| !token.is_empty()) })
    }

    fn cut(&self, entries: Vec<(Arc<CacheKey>, Arc<Entry>)>) -> (Vec<CachedObject>, String) {
        let mut keyed: Vec<_> = entries
            .into_iter()
            .map(|(key, entry)| (position(&key), key, entry))
            .filter(|(position, ..)| self.after.as_ref().is_none_or(|after| position > after))
            .collect();
        keyed.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let more = keyed.len() > self.size;
        keyed.truncate(self.size);
        let next = keyed.last().filter(|_| more).map(|(position, ..)| position.clone()).unwrap_or_default();
        (keyed.into_iter().map(|(_, key, entry)| shown(&key, &entry)).collect(), next)
    }
}

/// Where a key stands among all: what a page token holds.
fn position(key: &CacheKey) -> String {
    let version = key.object.version.as_ref().map_or("", |version| version.as_str());
    format!("{} {} {} {version}", key.vault.origin, key.object.kind, key.object.name)
}

fn shown(key: &CacheKey, entry: &Entry) -> CachedObject {
    CachedObject {
        vault: key.vault.origin.to_string(),
        r#type: key.object.kind.to_string(),
        name: key.object.name.to_string(),
        version: entry.version.to_string(),
        pinned: key.object.version.is_some(),
        read_at: Some(Timestamp::from(entry.read_at)),
        expires: entry.attributes.expires.map(|expires| Timestamp::from(SystemTime::from(expires))),
        bytes: entry.bytes() as u64,
        ..CachedObject::default()
    }
}
