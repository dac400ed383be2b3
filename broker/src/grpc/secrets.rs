//! `keyward.v1.Secrets`: what launchers ask.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use keyward_proto::{
    MAX_REFERENCES,
    v1::{self, ResolveRequest, ResolveResponse},
};
use keyward_types::Reference;
use tonic::{Code, Request, Response, Status, metadata::MetadataMap};

use super::errors;
use crate::{
    audit::{AuditLog, Record},
    authn::{Authenticator, AuthnError, Caller},
    metrics::Metrics,
    resolve::{Outcome, Resolver},
};

/// The service.
pub struct SecretsService {
    /// Turns a bearer token into a caller.
    pub authenticator: Arc<dyn Authenticator>,
    /// Turns references into values.
    pub resolver: Resolver,
    /// Where every request is written down.
    pub audit: Arc<AuditLog>,
    /// Where every request is counted.
    pub metrics: Arc<Metrics>,
}

#[tonic::async_trait]
impl v1::secrets_server::Secrets for SecretsService {
    async fn resolve(&self, request: Request<ResolveRequest>) -> Result<Response<ResolveResponse>, Status> {
        let started = Instant::now();
        let peer = request.remote_addr();
        let caller = self.authenticate(request.metadata()).await;
        let (outcomes, refusal) = match &caller {
            Ok(caller) => self.resolve_for(caller, request.get_ref()).await,
            Err(error) => (Vec::new(), Some(refused_token(error))),
        };
        let failure = refusal.clone().or_else(|| errors::of_outcomes(&outcomes));
        let code = failure.as_ref().map_or(Code::Ok, Status::code);
        let record = Record {
            caller: caller.as_ref().ok(),
            peer,
            code,
            error: refusal.as_ref().map(Status::message),
            outcomes: &outcomes,
        };
        if let Err(error) = self.audit.write(&record) {
            tracing::error!(%error, "the audit line could not be written, so nothing is handed out");
            let refusal = unaudited();
            self.metrics.resolved(refusal.code(), started.elapsed());
            return Err(refusal);
        }
        self.metrics.resolved(code, started.elapsed());
        failure.map_or_else(|| Ok(Response::new(reply(outcomes))), Err)
    }
}

impl SecretsService {
    async fn authenticate(&self, metadata: &MetadataMap) -> Result<Caller, AuthnError> {
        self.authenticator.authenticate(bearer(metadata)?).await
    }

    async fn resolve_for(&self, caller: &Caller, request: &ResolveRequest) -> (Vec<Outcome>, Option<Status>) {
        let references = match references(request) {
            Ok(references) => references,
            Err(refusal) => return (Vec::new(), Some(refusal)),
        };
        (self.resolver.resolve(&caller.namespace, references).await, None)
    }
}

/// The token of `authorization: Bearer TOKEN` (RFC 6750); the scheme is compared without case.
fn bearer(metadata: &MetadataMap) -> Result<&str, AuthnError> {
    let mut values = metadata.get_all("authorization").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(AuthnError::Missing) };
    let value = value.to_str().map_err(|_| AuthnError::Missing)?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => Ok(token),
        _ => Err(AuthnError::Missing),
    }
}

fn references(request: &ResolveRequest) -> Result<Vec<Reference>, Status> {
    let bad = |message: String| {
        let verdict = errors::Verdict { code: Code::InvalidArgument, reason: "REQUEST_INVALID", retry_after: None };
        errors::status(verdict, message, &[])
    };
    let count = request.references.len();
    if count > MAX_REFERENCES {
        return Err(bad(format!("{count} references in one request; at most {MAX_REFERENCES} are answered")));
    }
    let read = |reference: &v1::Reference| Reference::new(&reference.name, reference.query.as_deref());
    request.references.iter().map(read).collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))
}

fn refused_token(error: &AuthnError) -> Status {
    errors::status(errors::of_authn(error), error.to_string(), &[])
}

fn unaudited() -> Status {
    let retry_after = Some(Duration::from_secs(1));
    let verdict = errors::Verdict { code: Code::Unavailable, reason: "AUDIT_UNWRITABLE", retry_after };
    errors::status(verdict, "the broker cannot write its audit log; an operator must look at its output", &[])
}

fn reply(outcomes: Vec<Outcome>) -> ResolveResponse {
    // The copies made here are the wire's: they go out encrypted and are freed with the reply.
    let values = outcomes.into_iter().filter_map(|outcome| outcome.value.ok()).map(|value| value.expose().to_vec());
    ResolveResponse { values: values.collect() }
}

#[cfg(test)]
mod tests {
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
            let mut metadata = MetadataMap::new();
            for value in &values {
                metadata.append("authorization", value.parse().unwrap());
            }
            assert_eq!(bearer(&metadata).ok(), expected, "{values:?}");
        }
    }

    #[test]
    fn references_are_checked_and_counted_before_anything_is_read() {
        let request = |names: Vec<&str>| ResolveRequest {
            references: names.iter().map(|name| v1::Reference { name: (*name).into(), query: None }).collect(),
        };
        assert_eq!(references(&request(vec!["a", "b.c"])).unwrap().len(), 2);
        let refused = references(&request(vec!["a", "bank/db"])).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let refused = references(&request(vec!["a"; 10_000])).unwrap_err();
        assert_eq!(refused.message(), "10000 references in one request; at most 1000 are answered");
    }
}
