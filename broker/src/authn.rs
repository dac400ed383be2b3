//! Who asks: from a bearer token to the pod that it was projected into. Called by [`crate::grpc`], once a request; Event
//! Grid's own tokens are verified here too, for [`crate::events`].
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`jwks`] | verifies against the issuer's keys; reads them again when a key is unknown | issuer |
//! | [`source`] | where these keys are: discovery, URL or file | HTTPS, file |
//! | `keys` | a JSON Web Key Set → keys that can verify | none: pure |
//! | `jws` | a token → its claims, once a key has verified it | none: pure |
//! | `claims` | claims → [`Caller`] | none: pure |
//! | [`entra`] | a token of Entra → whether the application that Event Grid is made it | issuer |
//! | [`review`] | asks the API server, after what can be told without it | API server |
//! | [`operators`] | an operator's token → whether the cluster's rules let it call | API server |
//! | [`verdicts`] | remembers for at most 30 s whom a token was accepted for | none |

mod claims;
pub mod entra;
pub mod jwks;
mod jws;
mod keys;
pub mod operators;
pub mod review;
pub mod source;
#[cfg(test)]
mod testing;
pub mod verdicts;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

pub(crate) use claims::MAX_UID;
pub use keys::{KeySet, KeySetError};
pub use keyward_proto::TOKEN_AUDIENCE as AUDIENCE;

/// No token longer than this is looked at. A projected one has about 1 KiB.
pub const MAX_TOKEN: usize = 16 * 1024;

/// Whom `token` names, before anybody has vouched for it. Pure.
pub fn named_by(token: &str, now: SystemTime) -> Result<Caller, AuthnError> {
    claims::claimed(&jws::Jws::unverified(token)?, now)
}

/// A pod, proven by its token. Nothing here comes from the request itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The namespace of the pod.
    pub namespace: String,
    /// Its service account.
    pub service_account: String,
    /// Its name.
    pub pod_name: String,
    /// Its UID.
    pub pod_uid: String,
    /// Its node, where the issuer tells (Kubernetes 1.30 and later).
    pub node: Option<String>,
    /// When the token ends, and with it the proof.
    pub expires: SystemTime,
}

/// Turns a bearer token into a caller.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Accepts the token or says why not. Who was accepted a moment ago is shared and not copied.
    async fn authenticate(&self, token: &str) -> Result<Arc<Caller>, AuthnError>;
}

/// Why a token is refused. Parts of the token are quoted escaped and shortened, and only where its signature holds or
/// they are names of algorithms and keys; never the token itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthnError {
    /// None, or more than one.
    #[error("no bearer token; send `authorization: Bearer TOKEN` with the pod's projected token, audience {AUDIENCE}")]
    Missing,
    /// Not a token of the shape that Kubernetes issues.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// `none`, HMAC, or one that is not known here.
    #[error("the token's algorithm `{0}` is not accepted; RS256, RS384, RS512, ES256 and ES384 are")]
    Algorithm(String),
    /// The issuer publishes no such key.
    #[error("the token is signed with key `{0}`, which the issuer does not publish; is it from another cluster?")]
    UnknownKey(String),
    /// The key did not make this signature.
    #[error("the token's signature does not verify; it was altered, or another issuer made it")]
    BadSignature,
    /// `exp` has passed.
    #[error("the token expired {} s ago; the kubelet renews it: read its file again", since.as_secs())]
    Expired {
        /// How long ago.
        since: Duration,
    },
    /// `nbf` or `iat` is yet to come.
    #[error("the token is not valid yet; compare the clocks of the issuer and the broker")]
    NotYetValid,
    /// `iss` is another.
    #[error("the token's issuer is `{found}`, not `{expected}`")]
    WrongIssuer {
        /// `iss`
        found: String,
        /// The issuer trusted.
        expected: String,
    },
    /// `aud` is not exactly ours.
    #[error("the token's audience is {found}; project one with `audience: {AUDIENCE}` and no other")]
    WrongAudience {
        /// `aud`
        found: String,
    },
    /// The token names no pod: a service account's or a Secret's token, or a person's.
    #[error("the token is bound to no pod; use the pod's projected token, not one that `kubectl create token` made")]
    NotPodBound,
    /// The API server says no: expired, revoked, or of a pod that is gone.
    #[error("the API server does not accept the token{}", shown(.0))]
    Refused(String),
    /// It cannot be told whether the token is good. The text says why.
    #[error("tokens cannot be verified now: {0}; try again")]
    Unavailable(String),
}

/// The API server's words, where it gave some.
fn shown(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {}", quote(words)) }
}

/// Foreign text for a message: escaped, and short.
fn quote(text: &str) -> String {
    text.chars().take(128).flat_map(char::escape_debug).collect()
}
