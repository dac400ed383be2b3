//! What the controller is given: the rendered data of one `AzureKeyVaultSecret`, at the identity it knows and no other's.
//!
//! Decided by [`authz`] as a `Resolve` of the secret's own namespace is, and once more after the read, which may take
//! long: a secret that was deleted and made anew meanwhile must not get the other's data. No gRPC here.

use std::time::Duration;

use keyward_types::ObjectVersion;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    authz::{self, Denial, Grant},
    cache::{CacheKey, Served},
    policy::{Current, SecretEntry, Snapshot},
    render::{self, DataMap},
    resolve::{ResolveError, Resolver, Trail},
};

/// Which secret, as the caller knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `metadata.uid`; empty where the source has none.
    pub uid: String,
    /// `metadata.generation`; 0 where the source has none.
    pub generation: i64,
}

/// What became of one fetch.
#[derive(Debug)]
pub struct Outcome {
    /// What it was granted by, for audit; `None` when it was not.
    pub trail: Option<Trail>,
    /// The data, or why there is none.
    pub data: Result<Fetched, FetchError>,
}

/// Rendered data.
#[derive(Debug)]
pub struct Fetched {
    /// What to write.
    pub data: DataMap,
    /// The object's version.
    pub version: ObjectVersion,
    /// The object's own expiry.
    pub expires: Option<OffsetDateTime>,
    /// The generation that was rendered.
    pub generation: i64,
    /// For how long the vault has been unable to confirm the object; `None` while it is fresh.
    pub stale: Option<Duration>,
}

/// Why there is no data. Every text names the secret and says what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// The manifests that are read so far have another UID or an older generation, or no such secret at all.
    #[error("{secret} is not known yet with UID `{uid}` and generation {generation}: {known}; try again")]
    Unknown {
        /// The secret, in words.
        secret: String,
        /// The UID named.
        uid: String,
        /// The generation named.
        generation: i64,
        /// What is known instead.
        known: String,
    },
    /// It names another object than when the read began.
    #[error("{secret} was changed while its object was read; try again")]
    Replaced {
        /// The secret, in words.
        secret: String,
    },
    /// It is for references only.
    #[error("{secret} has no output; add `output.secret` or `output.configMap`, or do not sync it")]
    NoOutput {
        /// The secret, in words.
        secret: String,
    },
    /// As for a `Resolve`.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
}

impl From<Denial> for FetchError {
    fn from(denial: Denial) -> Self {
        Self::Resolve(denial.into())
    }
}

/// Decides, reads, decides again, renders. A secret that is not known yet as it is wanted is waited for until `patience`
/// ends: the caller, who watches too, may have heard of it first.
pub async fn fetch(resolver: &Resolver, snapshot: &Current, wanted: &Wanted, patience: Instant) -> Outcome {
    snapshot.until(patience, |snapshot| is_known(snapshot, wanted)).await;
    let grant = match grant(&snapshot.load(), wanted) {
        Ok(grant) => grant,
        Err(error) => return Outcome { trail: None, data: Err(error) },
    };
    let read = resolver.read(&grant).await;
    let mut trail = Trail::of(grant);
    let data = match read {
        Ok(served) => {
            trail.note(&served, Instant::now());
            rendered(&snapshot.load(), wanted, &trail.grant, &served)
        }
        Err(error) => Err(error.into()),
    };
    Outcome { trail: Some(trail), data }
}

/// What is known without asking a vault.
#[derive(Debug)]
pub struct Described {
    /// What is held, if anything is.
    pub held: Option<Served>,
    /// The generation that was looked at.
    pub generation: i64,
}

/// Decides, and looks into memory. Waits as [`fetch`] does.
pub async fn describe(
    resolver: &Resolver,
    snapshot: &Current,
    wanted: &Wanted,
    patience: Instant,
) -> Result<Described, FetchError> {
    snapshot.until(patience, |snapshot| is_known(snapshot, wanted)).await;
    let grant = admitted(&snapshot.load(), wanted)?;
    Ok(Described { held: resolver.peek(&grant).await, generation: generation(&grant.secret) })
}

/// Whether the secret wanted is there as wanted, is admitted, and has an output.
fn grant(snapshot: &Snapshot, wanted: &Wanted) -> Result<Grant, FetchError> {
    let grant = admitted(snapshot, wanted)?;
    if grant.secret.rendering.has_output() {
        Ok(grant)
    } else {
        Err(FetchError::NoOutput { secret: grant.secret.shown() })
    }
}

/// Whether the secret wanted is there as wanted, and is admitted.
fn admitted(snapshot: &Snapshot, wanted: &Wanted) -> Result<Grant, FetchError> {
    let unknown = |known: String| FetchError::Unknown {
        secret: format!("AzureKeyVaultSecret {}/{}", wanted.namespace, wanted.name),
        uid: wanted.uid.clone(),
        generation: wanted.generation,
        known,
    };
    let found = authz::find(snapshot, &wanted.namespace, &wanted.name);
    match identity(snapshot, wanted) {
        _ if !snapshot.is_complete() => {}
        // The caller has seen it where UIDs come from, so it will be here soon.
        None if !wanted.uid.is_empty() => return Err(unknown("there is no such object".to_owned())),
        Some(known @ (uid, generation)) if !is_wanted(known, wanted) => {
            return Err(unknown(format!("UID `{uid}`, generation {generation} is")));
        }
        _ => {}
    }
    Ok(authz::grant(snapshot, found?)?)
}

/// Whether waiting would tell nothing more.
fn is_known(snapshot: &Snapshot, wanted: &Wanted) -> bool {
    // A source without UIDs is read whole: what is not there is not.
    let found = || wanted.uid.is_empty() || identity(snapshot, wanted).is_some_and(|known| is_wanted(known, wanted));
    snapshot.is_complete() && found()
}

fn is_wanted((uid, generation): (&str, i64), wanted: &Wanted) -> bool {
    uid == wanted.uid && generation >= wanted.generation
}

/// UID and generation of the secret that has the name, whether it holds or not.
fn identity<'a>(snapshot: &'a Snapshot, wanted: &Wanted) -> Option<(&'a str, i64)> {
    let (uid, generation) = match snapshot.secret(&wanted.namespace, &wanted.name)? {
        Ok(secret) => (&secret.uid, secret.generation),
        Err(refused) => (&refused.uid, refused.generation),
    };
    Some((uid.as_deref().unwrap_or_default(), generation.unwrap_or_default()))
}

/// The data, by what the manifests say now and not by what they said before the read.
fn rendered(snapshot: &Snapshot, wanted: &Wanted, before: &Grant, served: &Served) -> Result<Fetched, FetchError> {
    let Grant { secret, vault, .. } = grant(snapshot, wanted)?;
    if CacheKey::of(&secret, &vault) != CacheKey::of(&before.secret, &before.vault) {
        return Err(FetchError::Replaced { secret: secret.shown() });
    }
    let data = render::output(&served.entry.object, &secret.rendering)
        .map_err(|source| ResolveError::Render { secret: secret.shown(), source })?;
    Ok(Fetched {
        data,
        version: served.entry.version.clone(),
        expires: served.entry.attributes.expires,
        generation: generation(&secret),
        stale: served.stale,
    })
}

fn generation(secret: &SecretEntry) -> i64 {
    secret.generation.unwrap_or_default()
}

#[cfg(test)]
mod tests;
