//! How callers prove themselves by token, as `--authn` says.

use std::sync::Arc;

use super::SetupError;
use crate::{
    args::{Authn, ServeArgs},
    authn::{
        Authenticator,
        jwks::{KeyRefresher, Pace, jwks},
        operators::{Operators, ReviewedOperators},
        review::ReviewAuthenticator,
        source::{KeySource, Place},
        verdicts::Verdicts,
    },
    cluster::{client::Cluster, reviews::Reviews, turns::Bounds},
    rate::Rate,
};

/// Room for a thousand pods that start together.
pub(super) const OF_PODS: Bounds = Bounds { rate: Rate { per_second: 500, burst: 1_000 }, at_a_time: 32 };
/// Operators are few, and must not take pods' room.
const OF_OPERATORS: Bounds = Bounds { rate: Rate { per_second: 20, burst: 40 }, at_a_time: 4 };

/// What verifies tokens.
pub struct Authentication {
    /// Launchers'.
    pub pods: Arc<dyn Authenticator>,
    /// Operators', where there is an API server to ask.
    pub operators: Option<Arc<dyn Operators>>,
    /// The task that keeps the issuer's keys, where they are what is verified by.
    pub keys: Option<KeyRefresher>,
    /// What asks the API server, by whom it is for.
    pub reviews: Vec<(&'static str, Arc<Reviews>)>,
}

/// As `args` say. `cluster` is there where they need it.
pub fn authentication(args: &ServeArgs, cluster: Option<&Cluster>) -> Result<Authentication, SetupError> {
    match (args.authn(), cluster) {
        (Authn::Jwks, _) => by_keys(args),
        (Authn::TokenReview, Some(cluster)) => by_review(cluster),
        (Authn::TokenReview, None) => Err(SetupError::NoCluster),
    }
}

fn by_keys(args: &ServeArgs) -> Result<Authentication, SetupError> {
    let issuer = args.jwks_issuer.as_deref().ok_or(SetupError::NoIssuer)?;
    let place = Place::parse(args.jwks.as_deref()).map_err(SetupError::Keys)?;
    let source = KeySource::new(issuer, place, args.jwks_ca_file.clone()).map_err(SetupError::Issuer)?;
    let (authenticator, refresher) = jwks(issuer, source, Pace::default());
    Ok(Authentication { pods: remembered(authenticator)?, operators: None, keys: Some(refresher), reviews: Vec::new() })
}

fn by_review(cluster: &Cluster) -> Result<Authentication, SetupError> {
    let of_pods = Arc::new(Reviews::new(cluster.client.clone(), OF_PODS));
    let of_operators = Arc::new(Reviews::new(cluster.client.clone(), OF_OPERATORS));
    let operators = ReviewedOperators::new(Arc::clone(&of_operators)).map_err(|_| SetupError::Randomness)?;
    Ok(Authentication {
        pods: remembered(ReviewAuthenticator::new(Arc::clone(&of_pods)))?,
        operators: Some(Arc::new(operators)),
        keys: None,
        reviews: vec![("pods", of_pods), ("operators", of_operators)],
    })
}

fn remembered(authenticator: impl Authenticator + 'static) -> Result<Arc<dyn Authenticator>, SetupError> {
    let verdicts = Verdicts::new(Arc::new(authenticator)).map_err(|_| SetupError::Randomness)?;
    Ok(Arc::new(verdicts))
}
