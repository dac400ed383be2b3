//! Whose a token is (`TokenReview`), and what a user may do (`SubjectAccessReview`).
//!
//! Anyone may have a review made, so they are bounded.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Client, api::PostParams, core::Request};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    ask::{AskError, ask},
    turns::{Bounds, Busy, DEADLINE, Turns},
};
use crate::authn::AUDIENCE;

/// Asks for reviews.
pub struct Reviews {
    client: Client,
    turns: Turns,
    counts: Counts,
}

/// How reviews have ended.
#[derive(Debug, Default)]
pub struct Counts {
    /// The token is good, or the user may.
    pub accepted: AtomicU64,
    /// It is not, or may not.
    pub refused: AtomicU64,
    /// No answer, or none in time.
    pub failed: AtomicU64,
}

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name: `system:serviceaccount:NAMESPACE:NAME` for service accounts.
    pub name: String,
    /// Its UID, where it has one.
    pub uid: Option<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// What else the API server knows of it: for a pod's token, the pod.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What became of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reviewed {
    /// It is good for these audiences.
    Accepted {
        /// Whose it is.
        user: User,
        /// The audiences of the token that were asked for.
        audiences: Vec<String>,
    },
    /// It is not, and perhaps why.
    Refused(String),
}

/// Why there is no review.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// Too many are wanted.
    #[error("too many reviews are wanted at once")]
    Busy,
    /// The API server.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl fmt::Debug for Reviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reviews").finish_non_exhaustive()
    }
}

impl Reviews {
    /// Asks by `client`.
    pub fn new(client: Client, bounds: Bounds) -> Self {
        Self { client, turns: Turns::new(bounds), counts: Counts::default() }
    }

    /// How they have ended so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whose `token` is, for our audience.
    pub async fn token(&self, token: &str) -> Result<Reviewed, ReviewError> {
        let review = TokenReview {
            spec: TokenReviewSpec { audiences: Some(vec![AUDIENCE.to_owned()]), token: Some(token.to_owned()) },
            ..TokenReview::default()
        };
        let reviewed = self.ask("/apis/authentication.k8s.io/v1/tokenreviews", &review).await.map(reviewed);
        self.count(&reviewed.as_ref().map(|reviewed| matches!(reviewed, Reviewed::Accepted { .. })));
        reviewed
    }

    /// Whether `user` may do `verb` to our cache, as the cluster's own rules say.
    pub async fn access(&self, user: &User, verb: &str) -> Result<bool, ReviewError> {
        let attributes = ResourceAttributes {
            group: Some("keyward.dev".to_owned()),
            resource: Some("caches".to_owned()),
            verb: Some(verb.to_owned()),
            ..ResourceAttributes::default()
        };
        let User { name, uid, groups, extra } = user.clone();
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                user: Some(name),
                uid,
                groups: Some(groups),
                extra: Some(extra),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = self.ask("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).await;
        let allowed = answer
            .map(|review| review.status.is_some_and(|status| status.allowed && !status.denied.unwrap_or_default()));
        self.count(&allowed);
        allowed
    }

    async fn ask<T: Serialize + DeserializeOwned>(&self, path: &str, review: &T) -> Result<T, ReviewError> {
        let _turn = self.turns.take().await.map_err(|Busy| ReviewError::Busy)?;
        let body = serde_json::to_vec(review).map_err(|_| AskError::Malformed)?;
        let request = Request::new(path).create(&PostParams::default(), body).map_err(|_| AskError::Malformed)?;
        Ok(ask(&self.client, request, DEADLINE).await?)
    }

    fn count<E>(&self, outcome: &Result<bool, E>) {
        let counter = match outcome {
            Ok(true) => &self.counts.accepted,
            Ok(false) => &self.counts.refused,
            Err(_) => &self.counts.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn reviewed(review: TokenReview) -> Reviewed {
    let status = review.status.unwrap_or_default();
    let UserInfo { username, uid, groups, extra } = status.user.unwrap_or_default();
    match (status.authenticated, username) {
        // An error beside an acceptance is no acceptance.
        (Some(true), Some(name)) if !name.is_empty() && status.error.is_none() => Reviewed::Accepted {
            user: User { name, uid, groups: groups.unwrap_or_default(), extra: extra.unwrap_or_default() },
            audiences: status.audiences.unwrap_or_default(),
        },
        _ => Reviewed::Refused(status.error.unwrap_or_default()),
    }
}
