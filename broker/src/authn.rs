//! Who is asking: a bearer token becomes a [`Caller`], or is refused.
//!
//! | room | holds |
//! |---|---|
//! | [`claims`] | pure: which claims make a caller |
//! | [`jws`] | pure: the signature over them, and with which algorithms |
//! | [`keys`] | where the issuer's keys are, read and bounded |
//! | [`jwks`] | the [`Authenticator`] that verifies offline by those keys |
//!
//! A verdict is not kept: verifying costs less than looking one up safely would be worth.

pub mod claims;
pub mod jwks;
pub mod jws;
pub mod keys;
#[cfg(test)]
mod testing;

use async_trait::async_trait;

/// A pod, as its token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its namespace: the only one it may ask for.
    pub namespace: String,
    /// Its service account.
    pub service_account: String,
    /// Its name.
    pub pod_name: String,
    /// Its UID.
    pub pod_uid: String,
    /// The node it runs on, where the token says.
    pub node: Option<String>,
}

/// Turns tokens into callers.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Verifies `token`, without `Bearer `.
    async fn authenticate(&self, token: &str) -> Result<Caller, AuthnError>;
}

/// Why a token is refused. No text contains the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthnError {
    /// None, or more than one, or none that is `Bearer`.
    #[error("a bearer token is needed: mount a projected service-account token with audience keyward-broker")]
    Missing,
    /// It is no signed JSON Web Token of an algorithm that is accepted.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// Its key is not among the issuer's.
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    /// The signature is over something else, or by another key.
    #[error("the token's signature does not verify")]
    BadSignature,
    /// `exp` has passed.
    #[error("the token has expired; the kubelet renews projected tokens, so read the file again")]
    Expired,
    /// `nbf` or `iat` is to come.
    #[error("the token is not valid yet; do the clocks of issuer and broker agree?")]
    NotYetValid,
    /// `iss` is another's.
    #[error("the token's issuer is not the one this broker trusts")]
    WrongIssuer,
    /// `aud` is not exactly ours.
    #[error("the token's audience must be keyward-broker and nothing else")]
    WrongAudience,
    /// It is nobody's in particular.
    #[error("the token is not bound to a pod; only projected tokens of running pods are accepted")]
    NotPodBound,
    /// The issuer's keys have never been had.
    #[error("tokens cannot be verified now: {0}")]
    Unavailable(String),
}
