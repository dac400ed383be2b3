//! Verifies tokens offline, against the issuer's published keys.
//!
//! Two halves share the keys: [`IssuerKeys`] verifies by them, [`KeyRefresher`] is the one task that reads them. A
//! caller with an unknown key asks the task and waits, so that a caller who gives up stops no fetch, and no number of
//! callers starts a second one. What the claims must say is for [`JwksAuthenticator`] and [`super::entra`] to know.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use keyward_kit::ready::Guard;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Authenticator, AuthnError, Caller, claims,
    jws::Jws,
    keys::{KeySet, PublicKey},
    quote,
    source::KeySource,
};

/// How often keys are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Unasked, so that a key the issuer withdraws stops verifying.
    pub refresh: Duration,
    /// At least between two reads: made-up key names must not become load on the issuer. It is the pause after a
    /// failure too.
    pub pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { refresh: Duration::from_mins(5), pause: Duration::from_secs(10) }
    }
}

/// How long a caller waits for keys being read; longer than a read takes at most.
const PATIENCE: Duration = Duration::from_secs(12);

/// The keys, and how the last attempt to read them went.
#[derive(Clone, Debug, Default)]
struct Keys {
    known: Option<Arc<KeySet>>,
    attempts: u64,
    last: Option<Instant>,
    fault: Option<String>,
}

impl Keys {
    fn get(&self, kid: &str) -> Option<PublicKey> {
        self.known.as_ref()?.get(kid).cloned()
    }

    fn is_recent(&self, pause: Duration) -> bool {
        self.last.is_some_and(|last| last.elapsed() < pause)
    }

    /// Why `kid` is not there. While the issuer does not answer, a key that is unknown may just be new.
    fn missing(&self, kid: &str) -> AuthnError {
        match (&self.fault, &self.known) {
            (Some(fault), _) => AuthnError::Unavailable(fault.clone()),
            (None, None) => AuthnError::Unavailable("the issuer's keys are not read yet".to_owned()),
            (None, Some(_)) => AuthnError::UnknownKey(quote(kid)),
        }
    }
}

struct Shared {
    keys: watch::Sender<Keys>,
    wanted: Notify,
    pace: Pace,
}

/// Verifies signatures by the keys of one issuer.
pub struct IssuerKeys(Arc<Shared>);

/// Verifies launchers' tokens of one issuer.
pub struct JwksAuthenticator {
    issuer: String,
    keys: IssuerKeys,
    clock: fn() -> SystemTime,
}

/// Reads the issuer's keys; runs for as long as they are used.
pub struct KeyRefresher {
    source: KeySource,
    shared: Arc<Shared>,
}

/// The two halves. Until the second runs, the first has no keys.
pub fn keys(source: KeySource, pace: Pace) -> (IssuerKeys, KeyRefresher) {
    let shared = Arc::new(Shared { keys: watch::Sender::default(), wanted: Notify::new(), pace });
    (IssuerKeys(Arc::clone(&shared)), KeyRefresher { source, shared })
}

/// What accepts launchers' tokens whose `iss` is exactly `issuer`, and what keeps its keys.
pub fn jwks(issuer: &str, source: KeySource, pace: Pace) -> (JwksAuthenticator, KeyRefresher) {
    let (keys, refresher) = keys(source, pace);
    (JwksAuthenticator { issuer: issuer.to_owned(), keys, clock: SystemTime::now }, refresher)
}

#[async_trait]
impl Authenticator for JwksAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Arc<Caller>, AuthnError> {
        if token.is_empty() {
            return Err(AuthnError::Missing);
        }
        claims::caller(&self.keys.verified(token).await?, &self.issuer, (self.clock)()).map(Arc::new)
    }
}

impl IssuerKeys {
    /// The claims of a token that one of the keys has signed. Whom it is for and until when is not looked at.
    pub(super) async fn verified(&self, token: &str) -> Result<Vec<u8>, AuthnError> {
        let jws = Jws::parse(token)?;
        let key = self.key(jws.kid()).await?;
        jws.verify(&key)
    }

    async fn key(&self, kid: &str) -> Result<PublicKey, AuthnError> {
        let mut keys = self.0.keys.subscribe();
        let seen = keys.borrow().clone();
        if let Some(key) = seen.get(kid) {
            return Ok(key);
        }
        if seen.is_recent(self.0.pace.pause) {
            return Err(seen.missing(kid));
        }
        self.0.wanted.notify_one();
        let read = keys.wait_for(|keys| keys.attempts > seen.attempts);
        match timeout(PATIENCE, read).await {
            Ok(Ok(keys)) => keys.get(kid).ok_or_else(|| keys.missing(kid)),
            _ => Err(AuthnError::Unavailable(format!("the issuer's keys were not read within {PATIENCE:?}"))),
        }
    }
}

impl KeyRefresher {
    /// Reads the keys at once, every [`Pace::refresh`], and when asked, until `shutdown`. Drops `started` when there
    /// are keys. Keys once read stay in use while the issuer does not answer.
    pub async fn run(self, started: impl Into<Option<Guard>>, shutdown: CancellationToken) -> Result<(), Infallible> {
        let mut started = started.into();
        loop {
            let read = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                read = self.refresh() => read,
            };
            if read {
                drop(started.take());
            }
            let wait = if read { self.shared.pace.refresh } else { self.shared.pace.pause };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.asked_or(Instant::now() + wait) => {}
            }
        }
    }

    async fn asked_or(&self, due: Instant) {
        loop {
            tokio::select! {
                () = sleep_until(due) => return,
                () = self.shared.wanted.notified() => {
                    // Whoever asked before the last attempt ended has had its answer by it.
                    if !self.shared.keys.borrow().is_recent(self.shared.pace.pause) {
                        return;
                    }
                }
            }
        }
    }

    async fn refresh(&self) -> bool {
        let outcome = self.source.fetch().await;
        let read = outcome.is_ok();
        self.shared.keys.send_modify(|keys| {
            keys.attempts += 1;
            keys.last = Some(Instant::now());
            match outcome {
                Ok(set) => {
                    if keys.known.is_none() {
                        info!(keys = set.len(), source = ?self.source, "issuer's keys read");
                    }
                    (keys.known, keys.fault) = (Some(Arc::new(set)), None);
                }
                Err(error) => {
                    warn!(%error, kept = keys.known.is_some(), "the issuer's keys could not be read");
                    keys.fault = Some(error.to_string());
                }
            }
        });
        read
    }
}

#[cfg(test)]
mod tests;
