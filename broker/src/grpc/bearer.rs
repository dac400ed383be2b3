//! The token of `authorization: Bearer TOKEN` (RFC 6750), and who shows bad ones too often.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use tonic::{Status, codegen::http::HeaderMap};

use super::errors;
use crate::{
    authn::AuthnError,
    rate::{Limiter, Rate},
};

/// Refused tokens of one address: room for a rollout of pods whose tokens are all wrong in one way, and an end to one who
/// makes tokens up. A refusal may cost the API server a review.
const REFUSALS: Rate = Rate { per_second: 20, burst: 200 };

/// The one token; the scheme is compared without case.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, AuthnError> {
    let mut values = headers.get_all("authorization").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(AuthnError::Missing) };
    let value = value.to_str().map_err(|_| AuthnError::Missing)?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => Ok(token),
        _ => Err(AuthnError::Missing),
    }
}

/// Counts refused tokens by where they come from.
#[derive(Debug)]
pub struct Refusals(Limiter<IpAddr>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Limiter::new(REFUSALS))
    }
}

impl Refusals {
    /// Fails for who was refused too often; then no token is looked at.
    pub fn check(&self, peer: Option<IpAddr>) -> Result<(), Status> {
        let wait: Result<(), Duration> = peer.map_or(Ok(()), |peer| self.0.may(&peer, Instant::now()));
        wait.map_err(errors::too_many_refusals)
    }

    /// Counts a refusal. What cannot be told now is none.
    pub fn note(&self, peer: Option<IpAddr>, error: &AuthnError) {
        if let Some(peer) = peer
            && !matches!(error, AuthnError::Unavailable(_) | AuthnError::Missing)
        {
            // Who has spent all of it is known as such already.
            let _ = self.0.take(&peer, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn only_one_bearer_token_is_taken() {
        for (values, expected) in [
            (vec!["Bearer abc"], Some("abc")),
            (vec!["bearer abc"], Some("abc")),
            (vec![], None),
            (vec!["Bearer "], None),
            (vec!["abc"], None),
            (vec!["Basic abc"], None),
            (vec!["Bearer abc", "Bearer def"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in &values {
                headers.append("authorization", value.parse().unwrap());
            }
            assert_eq!(bearer(&headers).ok(), expected, "{values:?}");
        }
    }

    #[test]
    fn who_is_refused_too_often_is_not_looked_at_and_others_are() {
        let (refusals, loud, quiet) = (Refusals::default(), "10.0.0.1".parse().ok(), "10.0.0.2".parse().ok());
        for _ in 0..1_000 {
            refusals.note(loud, &AuthnError::Unavailable("down".into()));
            refusals.note(quiet, &AuthnError::Missing);
        }
        assert!(refusals.check(loud).is_ok(), "what cannot be told is no refusal");
        for _ in 0..1_000 {
            refusals.note(loud, &AuthnError::BadSignature);
        }
        assert_eq!(refusals.check(loud).unwrap_err().code(), Code::ResourceExhausted);
        assert!(refusals.check(quiet).is_ok() && refusals.check(None).is_ok());
    }
}
