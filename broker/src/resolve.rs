//! Caller and references to values: decide, read, render. No gRPC and no tokens here.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use keyward_types::{Reference, SecretBytes};
use tokio::time::{Instant, timeout_at};

use crate::{
    authz::{self, Denial, Grant},
    cache::{CacheKey, Entry, KeyRef, LoadError, ObjectCache, Served},
    object::ObjectId,
    policy::Current,
    readers::Readers,
    render::{self, RenderError},
    vault::origin::Origin,
};

/// References of one request worked on at the same time.
const CONCURRENT: usize = 32;

/// How long one request may wait for vaults. Below the server's own limit, whose answer would not say to try again.
const PATIENCE: Duration = Duration::from_secs(25);

/// Turns references into values. Cloning shares it.
#[derive(Clone)]
pub struct Resolver {
    snapshot: Arc<Current>,
    cache: ObjectCache,
    readers: Arc<Readers>,
}

/// What became of one reference.
#[derive(Debug)]
pub struct Outcome {
    /// The reference.
    pub reference: Reference,
    /// What it was granted by, for audit; `None` when it was denied.
    pub trail: Option<Trail>,
    /// Its value, or why there is none.
    pub value: Result<SecretBytes, ResolveError>,
}

/// Where a value came from, or would have: for audit.
#[derive(Clone, Debug)]
pub struct Trail {
    /// What admitted it.
    pub grant: Grant,
    /// What was served and the age of the copy, once there is one.
    pub served: Option<(Arc<Entry>, Duration)>,
    /// For how long the vault has been unable to confirm what was served; `None` while it is fresh.
    pub stale: Option<Duration>,
}

impl Trail {
    /// Where what was granted would come from.
    pub fn of(grant: Grant) -> Self {
        Self { grant, served: None, stale: None }
    }

    /// Notes what was served at `now`.
    pub fn note(&mut self, served: &Served, now: Instant) {
        self.served = Some((Arc::clone(&served.entry), served.entry.age(now)));
        self.stale = served.stale;
    }

    /// Origin of the vault.
    pub fn vault(&self) -> &Origin {
        &self.grant.vault.origin
    }

    /// Shown as `secret/db-password`.
    pub fn object(&self) -> &ObjectId {
        &self.grant.secret.object
    }
}

/// Why a reference has no value. Every text names the object and says what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ResolveError {
    /// Not granted.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Granted, and the vault did not give it.
    #[error("{secret}: {object} of {vault}: {source}")]
    Load {
        /// The secret, in words.
        secret: String,
        /// Kind and name.
        object: String,
        /// Origin of the vault.
        vault: String,
        /// Why.
        source: LoadError,
    },
    /// The vault did not answer in the time that its request had.
    #[error("{secret}: {vault} did not answer within {PATIENCE:?}; try again")]
    Late {
        /// The secret, in words.
        secret: String,
        /// Origin of the vault.
        vault: String,
    },
    /// Nobody waits for it any more. Only ever audited.
    #[error("the caller went away before its answer")]
    Cancelled,
    /// Read, and it has no such view.
    #[error("{secret}: {source}")]
    Render {
        /// The secret, in words.
        secret: String,
        /// Why.
        source: RenderError,
    },
}

impl Resolver {
    /// `snapshot` is swapped by the source whenever the manifests change.
    pub fn new(snapshot: Arc<Current>, cache: ObjectCache, readers: Arc<Readers>) -> Self {
        Self { snapshot, cache, readers }
    }

    /// Resolves all of `references` for `namespace`, in their order, by one snapshot.
    pub async fn resolve(&self, namespace: &str, references: Vec<Reference>) -> Vec<Outcome> {
        let snapshot = self.snapshot.load_full();
        let decided = authz::decide_all(&snapshot, namespace, &references);
        let mut grants = Vec::with_capacity(decided.len());
        grants.extend(decided.iter().filter_map(|decision| decision.as_ref().ok()));
        // One for each grant, in their order.
        let mut served = self.serve(&grants).await.into_iter();
        let now = Instant::now();
        let outcomes = references.into_iter().zip(decided).map(|(reference, decision)| match decision {
            Err(denial) => Outcome { reference, trail: None, value: Err(denial.into()) },
            Ok(grant) => outcome(reference, grant, served.next(), now),
        });
        outcomes.collect()
    }

    /// What is served for each of `grants`: as of one moment, as far as it is in memory then. Mostly all of it is.
    async fn serve(&self, grants: &[&Grant]) -> Vec<Result<Served, ResolveError>> {
        let wanted: Vec<_> =
            grants.iter().map(|grant| (KeyRef::of(&grant.secret, &grant.vault), &*grant.vault)).collect();
        let all_failed = |error: &LoadError| grants.iter().map(|grant| Err(load_error(grant, error.clone()))).collect();
        let held = match self.cache.hits(&wanted).await {
            Ok(held) => held,
            Err(error) => return all_failed(&error),
        };
        let missing = |held: &[Option<Served>]| {
            let missing = held.iter().zip(grants).enumerate().filter(|(_, (held, _))| held.is_none());
            missing.map(|(place, (_, grant))| (place, *grant)).collect::<Vec<_>>()
        };
        let misses = missing(&held);
        if misses.is_empty() {
            let mut served = Vec::with_capacity(held.len());
            served.extend(held.into_iter().flatten().map(Ok));
            return served;
        }
        let until = Instant::now() + PATIENCE;
        let mut read = self.read_all(misses, until).await;
        // While they were read a swap may have replaced the others: what is there now is from one moment.
        let held = match self.cache.peeks(&wanted).await {
            Ok(held) => held,
            Err(error) => return all_failed(&error),
        };
        let gone = missing(&held).into_iter().filter(|(place, _)| !read.contains_key(place)).collect();
        read.extend(self.read_all(gone, until).await);
        let mut served = Vec::with_capacity(grants.len());
        for (place, (held, grant)) in held.into_iter().zip(grants).enumerate() {
            let mut read = || read.remove(&place).unwrap_or_else(|| Err(load_error(grant, LoadError::Interrupted)));
            served.push(match held {
                Some(held) => Ok(held),
                None => self.unless_taken_away(grant, read()).await,
            });
        }
        served
    }

    /// What was read of an object that is not held: a swap may have taken it away since, and all else is served as it is now.
    async fn unless_taken_away(
        &self,
        grant: &Grant,
        read: Result<Served, ResolveError>,
    ) -> Result<Served, ResolveError> {
        let served = read?;
        let key = CacheKey::of(&grant.secret, &grant.vault);
        self.cache.refusal(&key).await.map_or(Ok(served), |error| Err(load_error(grant, error)))
    }

    /// Reads objects beside each other, each from memory or else from its vault.
    async fn read_all(
        &self,
        grants: Vec<(usize, &Grant)>,
        until: Instant,
    ) -> HashMap<usize, Result<Served, ResolveError>> {
        let read = |(place, grant)| async move { (place, self.read_until(grant, until).await) };
        let reads: Vec<_> = grants.into_iter().map(read).collect();
        stream::iter(reads).buffer_unordered(CONCURRENT).collect().await
    }

    /// The object that was granted, from memory or else from its vault, which is waited for as long as one request may.
    pub async fn read(&self, grant: &Grant) -> Result<Served, ResolveError> {
        self.read_until(grant, Instant::now() + PATIENCE).await
    }

    async fn read_until(&self, grant: &Grant, until: Instant) -> Result<Served, ResolveError> {
        let late = |_| ResolveError::Late { secret: grant.secret.shown(), vault: grant.vault.origin.to_string() };
        timeout_at(until, self.load(grant)).await.map_err(late)?
    }

    async fn load(&self, grant: &Grant) -> Result<Served, ResolveError> {
        let (secret, vault) = (&grant.secret, &grant.vault);
        let reader = self.readers.open(vault).map_err(|error| load_error(grant, error.into()))?;
        self.cache.get(&CacheKey::of(secret, vault), &reader).await.map_err(|error| load_error(grant, error))
    }

    /// The object that was granted, if it is in memory. Asks no vault and counts as no read.
    pub async fn peek(&self, grant: &Grant) -> Option<Served> {
        self.cache.peek(&CacheKey::of(&grant.secret, &grant.vault), &grant.vault).await
    }
}

fn load_error(grant: &Grant, source: LoadError) -> ResolveError {
    let Grant { secret, vault, .. } = grant;
    ResolveError::Load {
        secret: secret.shown(),
        object: format!("{} `{}`", secret.object.kind, secret.object.name),
        vault: vault.origin.to_string(),
        source,
    }
}

/// What a reference takes of the object that was served for it.
fn outcome(reference: Reference, grant: Grant, served: Option<Result<Served, ResolveError>>, now: Instant) -> Outcome {
    let served = served.unwrap_or_else(|| Err(load_error(&grant, LoadError::Interrupted)));
    let mut trail = Trail::of(grant);
    let value = served.and_then(|served| {
        trail.note(&served, now);
        let secret = &trail.grant.secret;
        render::view(&served.entry.object, &secret.rendering, reference.query())
            .map_err(|source| ResolveError::Render { secret: secret.shown(), source })
    });
    Outcome { reference, trail: Some(trail), value }
}
