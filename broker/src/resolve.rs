//! Caller and references to values: decide, read, render. No gRPC and no tokens here.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use keyward_types::{ObjectVersion, Reference, SecretBytes};
use tokio::time::{Instant, timeout_at};

use crate::{
    authz::{self, Denial, Grant},
    cache::{CacheKey, LoadError, ObjectCache, Served},
    policy::{Current, Snapshot},
    readers::Readers,
    render::{self, RenderError},
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    /// Origin of the vault.
    pub vault: String,
    /// `secret/db-password`
    pub object: String,
    /// The rule that admitted it.
    pub rule: String,
    /// The version served and the age of the copy, once there is one.
    pub served: Option<(ObjectVersion, Duration)>,
    /// For how long the vault has been unable to confirm what was served; `None` while it is fresh.
    pub stale: Option<Duration>,
}

impl Trail {
    /// Where what was granted would come from.
    pub fn of(grant: &Grant) -> Self {
        Self {
            vault: grant.vault.origin.to_string(),
            object: format!("{}/{}", grant.secret.object.kind, grant.secret.object.name),
            rule: grant.rule.clone(),
            served: None,
            stale: None,
        }
    }

    /// Notes what was served.
    pub fn note(&mut self, served: &Served) {
        self.served = Some((served.entry.version.clone(), served.entry.age(Instant::now())));
        self.stale = served.stale;
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
        let (mut outcomes, mut misses) = (Vec::with_capacity(references.len()), Vec::new());
        for (place, reference) in references.into_iter().enumerate() {
            match self.remembered(&snapshot, namespace, reference).await {
                Ok(outcome) => outcomes.push((place, outcome)),
                Err((reference, grant)) => misses.push((place, reference, grant)),
            }
        }
        if !misses.is_empty() {
            let until = Instant::now() + PATIENCE;
            let mut reads = stream::iter(misses)
                .map(|(place, reference, grant)| async move { (place, self.read_for(reference, &grant, until).await) })
                .buffer_unordered(CONCURRENT);
            while let Some(outcome) = reads.next().await {
                outcomes.push(outcome);
            }
            outcomes.sort_unstable_by_key(|(place, _)| *place);
        }
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// The outcome, unless a vault has to be asked for it. Most are found here, and nothing in here waits.
    async fn remembered(
        &self,
        snapshot: &Snapshot,
        namespace: &str,
        reference: Reference,
    ) -> Result<Outcome, (Reference, Grant)> {
        let grant = match authz::decide(snapshot, namespace, &reference) {
            Ok(grant) => grant,
            Err(denial) => return Ok(Outcome { reference, trail: None, value: Err(denial.into()) }),
        };
        match self.cache.hit(&CacheKey::of(&grant.secret, &grant.vault), &grant.vault).await {
            Some(served) => Ok(outcome(reference, &grant, &served)),
            None => Err((reference, grant)),
        }
    }

    async fn read_for(&self, reference: Reference, grant: &Grant, until: Instant) -> Outcome {
        match self.read_until(grant, until).await {
            Ok(served) => outcome(reference, grant, &served),
            Err(error) => Outcome { reference, trail: Some(Trail::of(grant)), value: Err(error) },
        }
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
        let load_error = |source: LoadError| ResolveError::Load {
            secret: secret.shown(),
            object: format!("{} `{}`", secret.object.kind, secret.object.name),
            vault: vault.origin.to_string(),
            source,
        };
        let reader = self.readers.open(vault).map_err(|error| load_error(error.into()))?;
        self.cache.get(&CacheKey::of(secret, vault), &reader).await.map_err(load_error)
    }

    /// The object that was granted, if it is in memory. Asks no vault and counts as no read.
    pub async fn peek(&self, grant: &Grant) -> Option<Served> {
        self.cache.peek(&CacheKey::of(&grant.secret, &grant.vault), &grant.vault).await
    }
}

/// What a reference takes of an object that was served for it.
fn outcome(reference: Reference, grant: &Grant, served: &Served) -> Outcome {
    let mut trail = Trail::of(grant);
    trail.note(served);
    let value = render::view(&served.entry.object, &grant.secret.rendering, reference.query())
        .map_err(|source| ResolveError::Render { secret: grant.secret.shown(), source });
    Outcome { reference, trail: Some(trail), value }
}
