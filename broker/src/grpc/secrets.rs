//! `keyward.v1.Secrets`: what launchers ask.

mod unanswered;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use keyward_proto::{
    MAX_REFERENCES, MAX_REPLY_BYTES, STALE_METADATA,
    v1::{self, ResolveRequest, ResolveResponse},
};
use keyward_types::{Reference, SecretBytes};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use self::unanswered::Unanswered;
use super::{
    bearer::{Refusals, bearer},
    errors, milliseconds,
};
use crate::{
    audit::{AuditLog, PodVerdict},
    authn::{Authenticator, Caller},
    binding::{Binding, Bound, claim::Claim},
    rate::Limiter,
    resolve::{Outcome, Resolver},
};

/// What a value costs on the wire beside its bytes, at most: its tag and its length.
const FRAMING: usize = 6;

/// The verdict on a request that its pod carries, until its values are handed out.
const CARRIED: &str = "carried";

/// The service.
pub struct SecretsService {
    /// Turns a bearer token into a caller.
    pub authenticator: Arc<dyn Authenticator>,
    /// What binds tokens to their pods, where something does.
    pub binding: Option<Arc<Binding>>,
    /// Turns references into values.
    pub resolver: Resolver,
    /// Where every request is written down.
    pub audit: Arc<AuditLog>,
    /// How often one pod may ask, by its UID.
    pub requests: Limiter<String>,
    /// Who has shown bad tokens.
    pub refusals: Arc<Refusals>,
}

#[tonic::async_trait]
impl v1::secrets_server::Secrets for SecretsService {
    async fn resolve(&self, request: Request<ResolveRequest>) -> Result<Response<ResolveResponse>, Status> {
        let ResolveRequest { references, .. } = request.get_ref();
        let mut asked = Unanswered::new(&self.audit, request.remote_addr(), references);
        let peer = request.remote_addr().map(|address| address.ip());
        match self.authenticate(request.metadata(), peer).await {
            Ok(caller) => asked.caller = Some(caller),
            Err(refusal) => return asked.refuse(refusal),
        }
        let distinct = match self.admit(asked.caller.as_deref(), references) {
            Ok(distinct) => distinct,
            Err(refusal) => return asked.refuse(refusal),
        };
        let bound = match self.bind(request.get_ref(), &distinct.references, &mut asked).await {
            Ok(bound) => bound,
            Err(refusal) => return asked.refuse(refusal),
        };
        let namespace = asked.caller.as_ref().map_or("", |caller| &caller.namespace);
        let outcomes = self.resolver.resolve(namespace, distinct.references).await;
        let failure = errors::of_outcomes(&outcomes);
        let mut refusal = if failure.is_none() { too_large(&outcomes, &distinct.places) } else { None };
        if failure.is_none() && refusal.is_none() {
            refusal = self.redeem(bound, &mut asked).await.err();
        }
        asked.answer(refusal.as_ref(), failure.as_ref(), &outcomes)?;
        failure.or(refusal).map_or_else(|| Ok(reply(outcomes, &distinct.places)), Err)
    }
}

impl SecretsService {
    async fn authenticate(&self, metadata: &MetadataMap, peer: Option<IpAddr>) -> Result<Arc<Caller>, Status> {
        self.refusals.check(peer)?;
        let authenticated = match bearer(metadata.as_ref()) {
            Ok(token) => self.authenticator.authenticate(token).await,
            Err(error) => Err(error),
        };
        authenticated.map_err(|error| {
            self.refusals.note(peer, &error);
            errors::status(errors::of_authn(&error), error.to_string(), &[])
        })
    }

    /// What is to be resolved for this caller, if it does not ask too often.
    fn admit(&self, caller: Option<&Caller>, references: &[v1::Reference]) -> Result<Distinct, Status> {
        let pod = caller.map_or("", |caller| &caller.pod_uid);
        self.requests.take(pod, Instant::now()).map_err(errors::too_many_requests)?;
        distinct(references)
    }

    /// Whether the caller's pod carries what is asked; nothing where pods are not bound.
    async fn bind(
        &self,
        request: &ResolveRequest,
        references: &[Reference],
        asked: &mut Unanswered<'_>,
    ) -> Result<Option<Bound>, Status> {
        let claim = Claim::of(request).map_err(|error| errors::invalid(error.to_string()))?;
        let (Some(binding), Some(caller)) = (&self.binding, &asked.caller) else { return Ok(None) };
        let container = claim.container().map(str::to_owned);
        let bound = binding.check(caller, claim, references).await;
        let verdict = bound.as_ref().map_or_else(|refusal| refusal.reason().as_str(), |_| CARRIED);
        asked.binding = Some(PodVerdict { container, verdict });
        bound.map(Some).map_err(|refusal| errors::of_binding(&refusal))
    }

    /// Whether the values may be handed out, last of all: what was not handed out must not count as such.
    async fn redeem(&self, bound: Option<Bound>, asked: &mut Unanswered<'_>) -> Result<(), Status> {
        let (Some(binding), Some(caller), Some(bound)) = (&self.binding, &asked.caller, bound) else { return Ok(()) };
        let redeemed = binding.redeem(caller, bound).await;
        if let Some(told) = &mut asked.binding {
            told.verdict =
                redeemed.as_ref().map_or_else(|refusal| refusal.reason().as_str(), |redeemed| redeemed.as_str());
        }
        redeemed.map(drop).map_err(|refusal| errors::of_binding(&refusal))
    }
}

/// References, each once, and for each that was asked which of them it is.
struct Distinct {
    references: Vec<Reference>,
    places: Vec<usize>,
}

/// A reference that is asked for twice is resolved once: a thousand times the same failing read would be a thousand.
fn distinct(asked: &[v1::Reference]) -> Result<Distinct, Status> {
    let count = asked.len();
    if count > MAX_REFERENCES {
        let message = format!("{count} references in one request; at most {MAX_REFERENCES} are answered");
        return Err(errors::invalid(message));
    }
    let mut known: HashMap<(&str, Option<&str>), usize> = HashMap::with_capacity(count);
    let mut distinct = Distinct { references: Vec::with_capacity(count), places: Vec::with_capacity(count) };
    for v1::Reference { name, query } in asked {
        let next = distinct.references.len();
        let place = *known.entry((name, query.as_deref())).or_insert(next);
        if place == next {
            let reference =
                Reference::new(name, query.as_deref()).map_err(|error| errors::invalid(error.to_string()))?;
            distinct.references.push(reference);
        }
        distinct.places.push(place);
    }
    Ok(distinct)
}

/// The refusal of a reply that is larger than a client takes; known before anything is copied for the wire.
fn too_large(outcomes: &[Outcome], places: &[usize]) -> Option<Status> {
    let bytes: usize = values(outcomes, places).map(|value| value.len() + FRAMING).sum();
    (bytes > MAX_REPLY_BYTES).then(|| errors::too_large(bytes))
}

/// One value for each reference asked.
fn values<'a>(outcomes: &'a [Outcome], places: &'a [usize]) -> impl Iterator<Item = &'a SecretBytes> {
    places.iter().filter_map(|place| outcomes.get(*place)?.value.as_ref().ok())
}

fn reply(outcomes: Vec<Outcome>, places: &[usize]) -> Response<ResolveResponse> {
    let stale = outcomes.iter().filter_map(stale).max();
    let mut reply = Response::new(ResolveResponse { values: wire(outcomes, places) });
    if let Some(stale) = stale {
        reply.metadata_mut().insert(STALE_METADATA, milliseconds(stale).into());
    }
    reply
}

/// The values as they go out: encrypted, and freed with the reply.
fn wire(outcomes: Vec<Outcome>, places: &[usize]) -> Vec<Vec<u8>> {
    let mut wire = Vec::with_capacity(places.len());
    if places.len() == outcomes.len() {
        // Each was asked for once, in this order.
        wire.extend(outcomes.into_iter().filter_map(|outcome| outcome.value.ok()).map(SecretBytes::into_vec));
    } else {
        wire.extend(values(&outcomes, places).map(|value| value.expose().to_vec()));
    }
    wire
}

fn stale(outcome: &Outcome) -> Option<Duration> {
    outcome.trail.as_ref()?.stale
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use tonic::Code;

    use super::*;
    use crate::{resolve::Trail, testing};

    fn asked(names: &[&str]) -> Vec<v1::Reference> {
        names.iter().map(|name| v1::Reference { name: (*name).into(), query: None }).collect()
    }

    #[test]
    fn references_are_checked_and_counted_before_anything_is_read() {
        let refused = distinct(&asked(&["a", "bank/db"])).err().unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let refused = distinct(&asked(&vec!["a"; 10_000])).err().unwrap();
        assert_eq!(refused.message(), "10000 references in one request; at most 1000 are answered");
    }

    #[test]
    fn what_is_asked_twice_is_resolved_once_and_answered_twice() {
        let mut asked = asked(&["a", "b", "a", "a", "b"]);
        asked[3].query = Some("username".into());
        let Distinct { references, places } = distinct(&asked).unwrap();
        let shown: Vec<_> = references.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a@azurekeyvault", "b@azurekeyvault", "a@azurekeyvault?username"]);
        assert_eq!(places, [0, 1, 0, 2, 1]);
    }

    fn outcome(value: Vec<u8>, stale: Option<u64>) -> Outcome {
        let trail = Trail { stale: stale.map(Duration::from_millis), ..testing::trail(None) };
        let reference = Reference::new("a", None).unwrap();
        Outcome { reference, trail: Some(trail), value: Ok(SecretBytes::new(value)) }
    }

    #[test]
    fn a_reply_is_never_larger_than_a_client_takes() {
        let outcomes = || vec![outcome(vec![0; 1 << 20], None)];
        for (times, fits) in [(0, true), (1, true), (3, true), (4, false), (1_000, false)] {
            let places = vec![0; times];
            assert_eq!(too_large(&outcomes(), &places).is_none(), fits, "{times}");
            if fits {
                assert!(reply(outcomes(), &places).get_ref().encoded_len() <= MAX_REPLY_BYTES);
            }
        }
        let refused = too_large(&outcomes(), &[0; 4]).unwrap();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("4194328 bytes"), "{}", refused.message());
        let small = vec![outcome(vec![0; 100], None)];
        let places = vec![0; 1_000];
        assert!(reply(small, &places).get_ref().encoded_len() <= (100 + FRAMING) * 1_000);
    }

    #[test]
    fn there_is_a_value_for_each_reference_in_the_order_asked() {
        for (places, expected) in [(vec![0, 1], vec!["a", "b"]), (vec![0, 1, 0], vec!["a", "b", "a"]), (vec![], vec![])]
        {
            let outcomes = ["a", "b"].into_iter().take(places.len()).map(|text| outcome(text.into(), None)).collect();
            assert_eq!(
                reply(outcomes, &places).get_ref().values,
                expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn the_longest_staleness_is_told_and_none_where_all_is_fresh() {
        let metadata = |outcomes| reply(outcomes, &[0]).metadata().get(STALE_METADATA).cloned();
        assert!(metadata(vec![outcome(vec![], None), outcome(vec![], None)]).is_none());
        let stale = metadata(vec![outcome(vec![], Some(5)), outcome(vec![], Some(70_000)), outcome(vec![], None)]);
        assert_eq!(stale.unwrap(), "70000");
    }
}
