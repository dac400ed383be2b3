//! `Cache/Explain` at the edge: the token is verified and the cache looked at; [`crate::explain`] does the rest.

use keyward_proto::v1::{self, ExplainRequest, ExplainResponse, GateState, explain_request::Who};
use keyward_types::Reference;
use tonic::Status;

use super::{CacheService, page::clipped};
use crate::{
    binding::refusal::Refusal,
    explain::{self, Asker, Gate, State},
    grpc::errors,
};

pub(super) async fn answer(service: &CacheService, request: ExplainRequest) -> Result<ExplainResponse, Status> {
    let reference = match Reference::parse(&request.reference) {
        Some(reference) => reference.map_err(|error| errors::invalid(error.to_string()))?,
        None => return Err(errors::invalid("reference must be NAME@azurekeyvault or NAME@azurekeyvault?QUERY")),
    };
    let asker = match request.who {
        Some(Who::Namespace(namespace)) => Asker::Namespace(namespace),
        Some(Who::Token(token)) => Asker::Token(service.authenticator.authenticate(&token).await),
        None => return Err(errors::invalid("name a namespace or bring a token")),
    };
    let carriers = carriers(service, &asker, &reference).await;
    let (mut gates, grant) = explain::by_manifests(&service.snapshot.load(), &asker, &reference);
    let last = match &grant {
        Some(grant) => explain::by_cache(grant, &reference, service.resolver.peek(grant).await.as_ref()),
        None => explain::cache_not_looked_at(),
    };
    gates.push(last);
    if service.binding.is_some() {
        gates.insert(1, explain::by_pod(carriers, &reference));
    }
    Ok(ExplainResponse { gates: gates.iter().map(shown).collect() })
}

/// The containers of the asker's pod that carry the reference, where there is such a pod and it counts.
async fn carriers(
    service: &CacheService,
    asker: &Asker,
    reference: &Reference,
) -> Option<Result<Vec<String>, Refusal>> {
    match (&service.binding, asker) {
        (Some(binding), Asker::Token(Ok(caller))) => Some(binding.carriers(caller, reference).await),
        _ => None,
    }
}

fn shown(gate: &Gate) -> v1::Gate {
    let state = match gate.state {
        State::Open => GateState::Open,
        State::Closed => GateState::Closed,
        State::Skipped => GateState::Skipped,
    };
    v1::Gate { name: gate.name.to_owned(), state: state.into(), detail: clipped(&gate.detail) }
}
