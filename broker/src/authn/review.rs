//! Verifies tokens by the API server's `TokenReview`, which knows what no signature tells: that the pod is gone.
//!
//! What a token claims is looked at first, though nothing is proven by it: one that is malformed, has expired, is for
//! another audience or bound to no pod would be refused anyway, and costs no request. What was reviewed must then say the
//! same as the claims.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use async_trait::async_trait;

use super::{AUDIENCE, Authenticator, AuthnError, Caller, named_by, quote};
use crate::cluster::reviews::{Reviewed, Reviews, User};

const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";

/// Has tokens reviewed.
#[derive(Debug)]
pub struct ReviewAuthenticator {
    reviews: Arc<Reviews>,
    clock: fn() -> SystemTime,
}

impl ReviewAuthenticator {
    /// By `reviews`.
    pub fn new(reviews: Arc<Reviews>) -> Self {
        Self { reviews, clock: SystemTime::now }
    }
}

#[async_trait]
impl Authenticator for ReviewAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Arc<Caller>, AuthnError> {
        if token.is_empty() {
            return Err(AuthnError::Missing);
        }
        let claimed = named_by(token, (self.clock)())?;
        match self.reviews.token(token).await {
            Ok(Reviewed::Accepted { user, audiences }) => {
                check_audiences(&audiences)?;
                caller(&user, claimed).map(Arc::new)
            }
            Ok(Reviewed::Refused(why)) => Err(AuthnError::Refused(why)),
            Err(error) => Err(AuthnError::Unavailable(error.to_string())),
        }
    }
}

/// None at all means that the API server did not look at audiences.
pub(super) fn check_audiences(audiences: &[String]) -> Result<(), AuthnError> {
    if audiences == [AUDIENCE] {
        return Ok(());
    }
    Err(AuthnError::WrongAudience { found: format!("`{}`", quote(&audiences.join(", "))) })
}

/// Whom the API server names, which must be whom the token claims.
fn caller(user: &User, claimed: Caller) -> Result<Caller, AuthnError> {
    const OTHERWISE: AuthnError = AuthnError::Malformed("the API server names another pod than it does");
    let (namespace, service_account) = service_account(&user.name).ok_or(AuthnError::NotPodBound)?;
    let (pod_name, pod_uid) = (one(&user.extra, POD_NAME)?, one(&user.extra, POD_UID)?);
    let pod = pod_name.zip(pod_uid).ok_or(AuthnError::NotPodBound)?;
    let node = one(&user.extra, NODE_NAME)?;
    let same = (namespace, service_account) == (&claimed.namespace, &claimed.service_account)
        && pod == (&claimed.pod_name, &claimed.pod_uid)
        && node.is_none_or(|node| claimed.node.as_deref().is_none_or(|claimed| claimed == node));
    if !same {
        return Err(OTHERWISE);
    }
    // Only what was reviewed: an API server that tells no node has not stood by the claim.
    Ok(Caller { node: node.map(str::to_owned), ..claimed })
}

fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

/// The one value of `key`. Several would leave a choice, and nobody here chooses.
fn one<'a>(extra: &'a BTreeMap<String, Vec<String>>, key: &str) -> Result<Option<&'a str>, AuthnError> {
    match extra.get(key).map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([value]) if !value.is_empty() => Ok(Some(value)),
        Some(_) => Err(AuthnError::Malformed("the API server names several pods or nodes for it, or an empty one")),
    }
}

#[cfg(test)]
mod tests;
