//! `Sync/Fetch` at the edge: the request checked, the answer bounded, counted and written down.

use std::{collections::HashMap, net::SocketAddr};

use keyward_kit::tls::role::Role;
use keyward_proto::{
    MAX_REPLY_BYTES,
    v1::{ConfigMapData, FetchRequest, FetchResponse, SecretData},
};
use keyward_types::{Reference, SecretBytes};
use tonic::{Code, Request, Status};

use super::{SyncService, patience};
use crate::{
    audit::{AuditLog, fetch::FetchRecord},
    fetch::{self, Fetched, Outcome, Wanted},
    grpc::{errors, milliseconds, timestamp},
    render::DataMap,
    resolve::Trail,
};

/// Longest that Kubernetes makes them.
const MAX_NAMESPACE: usize = 63;
const MAX_UID: usize = 128;

/// What an entry costs on the wire beside key and value, at most: tags and lengths of it and of both.
const FRAMING: usize = 18;

pub(super) async fn answer(service: &SyncService, request: &Request<FetchRequest>) -> Result<FetchResponse, Status> {
    let patience = patience::of(request.metadata());
    let wanted = wanted(request.get_ref())?;
    let mut unanswered = Unanswered {
        audit: &service.audit,
        role: request.extensions().get::<Role>().copied(),
        peer: request.remote_addr(),
        wanted: &wanted,
        answered: false,
    };
    let Outcome { trail, data } = fetch::fetch(&service.resolver, &service.snapshot, &wanted, patience).await;
    let answer = data.map_err(|error| status(&wanted, trail.as_ref(), &error)).and_then(bounded);
    unanswered.answer(trail.as_ref(), answer.as_ref().err())?;
    answer.map(reply)
}

pub(super) fn wanted(request: &FetchRequest) -> Result<Wanted, Status> {
    let FetchRequest { namespace, name, uid, generation } = request.clone();
    Reference::new(&name, None).map_err(|error| errors::invalid(error.to_string()))?;
    if namespace.is_empty() || namespace.len() > MAX_NAMESPACE || uid.len() > MAX_UID {
        return Err(errors::invalid("namespace and uid must be those of an object's metadata"));
    }
    Ok(Wanted { namespace, name, uid, generation })
}

pub(super) fn status(wanted: &Wanted, trail: Option<&Trail>, error: &fetch::FetchError) -> Status {
    let secret = format!("{}/{}", wanted.namespace, wanted.name);
    let mut about = vec![("secret", secret.as_str())];
    let source = trail.map(errors::source);
    about.extend(source.iter().flatten().map(|(name, value)| (*name, value.as_str())));
    errors::status(errors::of_fetch(error), error.to_string(), &about)
}

/// Refuses what no client would take, before anything is copied for the wire.
fn bounded(fetched: Fetched) -> Result<Fetched, Status> {
    let DataMap { secret, config_map } = &fetched.data;
    let maps = secret.iter().map(|secret| &secret.data).chain(config_map);
    let bytes = maps.flatten().map(|(key, value)| key.len() + value.len() + FRAMING).sum();
    if bytes > MAX_REPLY_BYTES { Err(errors::too_large(bytes)) } else { Ok(fetched) }
}

fn reply(fetched: Fetched) -> FetchResponse {
    let Fetched { data: DataMap { secret, config_map }, version, expires, generation, stale } = fetched;
    // The copies made here are the wire's: they go out encrypted and are freed with the reply.
    let secret = secret.map(|secret| SecretData {
        r#type: secret.secret_type,
        data: secret.data.iter().map(|(key, value)| (key.clone(), value.expose().to_vec())).collect(),
    });
    let text = |(key, value): (String, SecretBytes)| Some((key, value.expose_str()?.to_owned()));
    let config_map =
        config_map.map(|data| ConfigMapData { data: data.into_iter().filter_map(text).collect::<HashMap<_, _>>() });
    FetchResponse {
        secret,
        config_map,
        version: version.to_string(),
        expires: expires.map(timestamp),
        generation,
        stale_ms: stale.map_or(0, milliseconds),
    }
}

/// A fetch without its audit line yet. Whatever becomes of it leaves one, also when the caller goes away.
struct Unanswered<'a> {
    audit: &'a AuditLog,
    role: Option<Role>,
    peer: Option<SocketAddr>,
    wanted: &'a Wanted,
    answered: bool,
}

impl Unanswered<'_> {
    /// Fails when the line could not be written; then nothing may be handed out.
    fn answer(&mut self, trail: Option<&Trail>, refusal: Option<&Status>) -> Result<(), Status> {
        self.answered = true;
        let code = refusal.map_or(Code::Ok, Status::code);
        if let Err(error) = self.write(trail, code, refusal.map(Status::message)) {
            tracing::error!(%error, "the audit line could not be written, so nothing is handed out");
            return Err(errors::unaudited());
        }
        Ok(())
    }

    fn write(&self, trail: Option<&Trail>, code: Code, error: Option<&str>) -> std::io::Result<()> {
        let Self { role, peer, wanted, .. } = *self;
        self.audit.write_fetch(&FetchRecord { role, peer, wanted, code, error, trail })
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        if let Err(error) = self.write(None, Code::Cancelled, None) {
            tracing::error!(%error, "the audit line of a fetch given up by its caller could not be written");
        }
    }
}
