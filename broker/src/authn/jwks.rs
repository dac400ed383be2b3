//! `--authn jwks`: tokens verified offline by the issuer's published keys.
//!
//! A token signed with a key that is not known makes the keys be read again, at most once in ten seconds for all callers
//! together: that is how a rotation is followed, and how a flood of invented key ids stays cheap. Keys once read are
//! kept while the issuer is down.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use reqwest::Client;
use tokio::sync::Mutex;

use super::{
    Authenticator, AuthnError, Caller, claims,
    jws::{Jws, VerifyingKey},
    keys::{Keys, Location},
};

const READ_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// A key that its issuer no longer publishes is forgotten within this.
const KEPT_AT_MOST: Duration = Duration::from_secs(600);

/// The issuer and what is known of its keys.
pub struct JwksAuthenticator {
    issuer: String,
    location: Location,
    client: Client,
    keys: ArcSwap<Known>,
    reading: Mutex<Option<Attempt>>,
}

#[derive(Default)]
struct Known {
    keys: Keys,
    read_at: Option<Instant>,
}

struct Attempt {
    at: Instant,
    failure: Option<String>,
}

impl JwksAuthenticator {
    /// Nothing is read before the first token.
    pub fn new(issuer: String, location: Location, client: Client) -> Self {
        Self { issuer, location, client, keys: ArcSwap::default(), reading: Mutex::new(None) }
    }

    async fn key(&self, id: &str) -> Result<VerifyingKey, AuthnError> {
        let known = self.keys.load_full();
        let fresh = known.read_at.is_some_and(|at| at.elapsed() < KEPT_AT_MOST);
        if let (Some(key), true) = (known.keys.get(id), fresh) {
            return Ok(key.clone());
        }
        let failure = self.read_again(&known).await;
        let known = self.keys.load();
        match (known.keys.get(id), known.read_at, failure) {
            (Some(key), ..) => Ok(key.clone()),
            // Never read, or perhaps rotated since: nobody can say that the key is not the issuer's.
            (None, _, Some(reason)) => Err(AuthnError::Unavailable(reason)),
            (None, None, None) => Err(AuthnError::Unavailable("the issuer's keys were never read".to_owned())),
            (None, Some(_), None) => Err(AuthnError::UnknownKey),
        }
    }

    /// Reads the keys unless somebody just did; returns why the last attempt failed. All who wait share one attempt.
    async fn read_again(&self, seen: &Arc<Known>) -> Option<String> {
        let mut reading = self.reading.lock().await;
        if !Arc::ptr_eq(seen, &self.keys.load()) {
            return None;
        }
        if let Some(attempt) = reading.as_ref().filter(|attempt| attempt.at.elapsed() < READ_AGAIN_AFTER) {
            return attempt.failure.clone();
        }
        let failure = match self.location.read(&self.client).await {
            Ok(keys) => {
                self.keys.store(Arc::new(Known { keys, read_at: Some(Instant::now()) }));
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the issuer's keys cannot be read");
                Some(error.to_string())
            }
        };
        *reading = Some(Attempt { at: Instant::now(), failure: failure.clone() });
        failure
    }
}

#[async_trait]
impl Authenticator for JwksAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Caller, AuthnError> {
        let jws = Jws::parse(token)?;
        let key = self.key(&jws.key_id).await?;
        claims::caller(&jws.verify(&key)?, &self.issuer, SystemTime::now())
    }
}
