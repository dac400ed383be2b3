//! `--authn jwks`: tokens verified offline by the issuer's published keys.
//!
//! A token signed with a key that is not known makes the keys be read again, at most once in ten seconds for all callers
//! together: that is how a rotation is followed, and how a flood of invented key ids stays cheap. Keys once read are
//! kept while the issuer is down.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
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

/// What tells the time: for keys' ages and for tokens.
pub trait Clock: Send + Sync {
    /// The wall clock's time.
    fn now(&self) -> SystemTime;
}

/// The machine's own clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The issuer and what is known of its keys.
pub struct JwksAuthenticator {
    issuer: String,
    location: Location,
    client: Client,
    clock: Box<dyn Clock>,
    keys: ArcSwap<Known>,
    reading: Mutex<Option<Attempt>>,
}

#[derive(Default)]
struct Known {
    keys: Keys,
    read_at: Option<SystemTime>,
}

struct Attempt {
    at: SystemTime,
    failure: Option<String>,
}

impl JwksAuthenticator {
    /// Nothing is read before the first token.
    pub fn new(issuer: String, location: Location, client: Client, clock: impl Clock + 'static) -> Self {
        let (keys, reading) = (ArcSwap::default(), Mutex::new(None));
        Self { issuer, location, client, clock: Box::new(clock), keys, reading }
    }

    /// Whether `since` lies within the last `span`. A clock that was set back counts as long ago.
    fn within(&self, span: Duration, since: SystemTime) -> bool {
        self.clock.now().duration_since(since).is_ok_and(|age| age < span)
    }

    async fn key(&self, id: &str) -> Result<VerifyingKey, AuthnError> {
        let known = self.keys.load_full();
        let fresh = known.read_at.is_some_and(|at| self.within(KEPT_AT_MOST, at));
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
        if let Some(attempt) = reading.as_ref().filter(|attempt| self.within(READ_AGAIN_AFTER, attempt.at)) {
            return attempt.failure.clone();
        }
        let failure = match self.location.read(&self.client).await {
            Ok(keys) => {
                self.keys.store(Arc::new(Known { keys, read_at: Some(self.clock.now()) }));
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the issuer's keys cannot be read");
                Some(error.to_string())
            }
        };
        *reading = Some(Attempt { at: self.clock.now(), failure: failure.clone() });
        failure
    }
}

#[async_trait]
impl Authenticator for JwksAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Caller, AuthnError> {
        let jws = Jws::parse(token)?;
        let key = self.key(&jws.key_id).await?;
        claims::caller(&jws.verify(&key)?, &self.issuer, self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::atomic::AtomicU64, sync::atomic::Ordering};

    use super::*;
    use crate::authn::{keys, testing::Signer};

    const ISSUER: &str = "https://issuer.example";

    /// Stands where it is set to.
    #[derive(Clone, Default)]
    struct Stopped(Arc<AtomicU64>);

    impl Clock for Stopped {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + self.0.load(Ordering::SeqCst))
        }
    }

    fn publish(file: &Path, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
        fs::write(file, serde_json::json!({ "keys": keys }).to_string()).unwrap();
    }

    fn authenticator(file: &Path, clock: &Stopped) -> JwksAuthenticator {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let location = Location::File(file.to_owned());
        JwksAuthenticator::new(ISSUER.to_owned(), location, keys::client(None).unwrap(), clock.clone())
    }

    #[tokio::test]
    async fn a_rotation_is_followed_but_not_at_every_unknown_key() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Stopped::default());
        let file = dir.path().join("keys.json");
        let (old, new) = (Signer::new("old"), Signer::new("new"));
        publish(&file, &[&old]);
        let authenticator = authenticator(&file, &clock);
        assert_eq!(authenticator.authenticate(&old.pod_token(ISSUER)).await.unwrap().namespace, "shop");
        publish(&file, &[&old, &new]);
        let too_soon = authenticator.authenticate(&new.pod_token(ISSUER)).await;
        assert_eq!(too_soon, Err(AuthnError::UnknownKey));
        clock.0.store(10, Ordering::SeqCst);
        authenticator.authenticate(&new.pod_token(ISSUER)).await.unwrap();
        authenticator.authenticate(&old.pod_token(ISSUER)).await.unwrap();
    }

    #[tokio::test]
    async fn a_key_that_is_withdrawn_is_forgotten() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Stopped::default());
        let file = dir.path().join("keys.json");
        let (old, new) = (Signer::new("old"), Signer::new("new"));
        publish(&file, &[&old]);
        let authenticator = authenticator(&file, &clock);
        authenticator.authenticate(&old.pod_token(ISSUER)).await.unwrap();
        publish(&file, &[&new]);
        clock.0.store(KEPT_AT_MOST.as_secs(), Ordering::SeqCst);
        assert_eq!(authenticator.authenticate(&old.pod_token(ISSUER)).await, Err(AuthnError::UnknownKey));
    }

    #[tokio::test]
    async fn keys_are_kept_while_the_issuer_is_down_and_without_any_nothing_is_guessed() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Stopped::default());
        let file = dir.path().join("keys.json");
        let (signer, stranger) = (Signer::new("known"), Signer::new("stranger"));
        let authenticator = authenticator(&file, &clock);
        let refused = authenticator.authenticate(&signer.pod_token(ISSUER)).await;
        assert!(matches!(refused, Err(AuthnError::Unavailable(_))), "{refused:?}");
        publish(&file, &[&signer]);
        clock.0.store(10, Ordering::SeqCst);
        authenticator.authenticate(&signer.pod_token(ISSUER)).await.unwrap();
        fs::remove_file(&file).unwrap();
        clock.0.store(10 + KEPT_AT_MOST.as_secs(), Ordering::SeqCst);
        authenticator.authenticate(&signer.pod_token(ISSUER)).await.unwrap();
        let refused = authenticator.authenticate(&stranger.pod_token(ISSUER)).await;
        assert!(matches!(refused, Err(AuthnError::Unavailable(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn a_key_of_the_same_name_from_another_hand_is_refused() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Stopped::default());
        let file = dir.path().join("keys.json");
        publish(&file, &[&Signer::new("k")]);
        let refused = authenticator(&file, &clock).authenticate(&Signer::new("k").pod_token(ISSUER)).await;
        assert_eq!(refused, Err(AuthnError::BadSignature));
    }
}
