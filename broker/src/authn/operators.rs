//! Whether the holder of a token may ask as an operator: whose it is by `TokenReview`, what they may by
//! `SubjectAccessReview`. Called by [`crate::grpc::guard`], for callers without a certificate.
//!
//! Any user will do, bound to a pod or not: what counts is the cluster's own rule on `caches.keyward.dev`. Only who was
//! let in is remembered, for a moment, by a keyed hash of the token.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use moka::future::Cache;
use ring::{error::Unspecified, hmac, rand::SystemRandom};

use super::{AuthnError, claims, jws::Jws, review::check_audiences};
use crate::cluster::reviews::{ReviewError, Reviewed, Reviews};

/// The longest that a verdict is relied on.
const MAX_AGE: Duration = Duration::from_secs(30);
/// Verdicts kept at most. Operators are few.
const MAX_VERDICTS: u64 = 1_000;

/// What an operator wants to do to the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Look.
    Get,
    /// Have it compared with its vaults.
    Update,
}

impl Verb {
    /// As the cluster's rules name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Update => "update",
        }
    }
}

/// Why an operator's token opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// The token is not good, or that cannot be told.
    #[error(transparent)]
    Token(#[from] AuthnError),
    /// Its user may not.
    #[error(
        "user `{user}` may not {verb} caches.keyward.dev; an administrator can bind a ClusterRole with that rule",
        verb = verb.as_str()
    )]
    Forbidden {
        /// Whose token it is.
        user: String,
        /// What they wanted.
        verb: Verb,
    },
}

/// Lets operators in by token. Returns the user's name.
#[async_trait]
pub trait Operators: Send + Sync {
    /// Whether the holder of `token` may.
    async fn admit(&self, token: &str, verb: Verb) -> Result<Arc<str>, OperatorError>;
}

/// As the API server says.
pub struct ReviewedOperators {
    reviews: Arc<Reviews>,
    key: hmac::Key,
    admitted: Cache<([u8; 32], Verb), Admitted>,
}

#[derive(Clone)]
struct Admitted {
    user: Arc<str>,
    since: Instant,
    expires: SystemTime,
}

impl ReviewedOperators {
    /// By `reviews`. Fails when the system has no randomness.
    pub fn new(reviews: Arc<Reviews>) -> Result<Self, Unspecified> {
        Ok(Self {
            reviews,
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?,
            admitted: Cache::builder().max_capacity(MAX_VERDICTS).time_to_live(MAX_AGE).build(),
        })
    }

    async fn review(&self, token: &str, verb: Verb) -> Result<Arc<str>, OperatorError> {
        let user = match self.reviews.token(token).await.map_err(|error| unavailable(&error))? {
            Reviewed::Accepted { user, audiences } => {
                check_audiences(&audiences)?;
                user
            }
            Reviewed::Refused(why) => return Err(AuthnError::Refused(why).into()),
        };
        if !self.reviews.access(&user, verb.as_str()).await.map_err(|error| unavailable(&error))? {
            return Err(OperatorError::Forbidden { user: super::quote(&user.name), verb });
        }
        tracing::info!(user = user.name, verb = verb.as_str(), "an operator is admitted by token");
        Ok(user.name.into())
    }
}

fn unavailable(error: &ReviewError) -> OperatorError {
    AuthnError::Unavailable(error.to_string()).into()
}

#[async_trait]
impl Operators for ReviewedOperators {
    async fn admit(&self, token: &str, verb: Verb) -> Result<Arc<str>, OperatorError> {
        let (since, now) = (Instant::now(), SystemTime::now());
        let expires = claims::expiry(&Jws::unverified(token)?, now)?;
        let mut name = [0; 32];
        name.copy_from_slice(hmac::sign(&self.key, token.as_bytes()).as_ref());
        if let Some(known) = self.admitted.get(&(name, verb)).await
            && known.since.elapsed() < MAX_AGE
            && now < known.expires
        {
            return Ok(known.user);
        }
        let user = self.review(token, verb).await?;
        self.admitted.insert((name, verb), Admitted { user: Arc::clone(&user), since, expires }).await;
        Ok(user)
    }
}

#[cfg(test)]
mod tests;
