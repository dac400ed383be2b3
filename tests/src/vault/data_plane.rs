//! The vaults' REST API: from a request to the kind of object that answers it. The order of checks is Key Vault's: who
//! asks, is the request well-formed, may they; then armed faults strike.

use std::sync::Arc;
use std::time::Instant;

use super::auth::Demand;
use super::dates::http_date;
use super::errors::Refusal;
use super::faults::{Instead, Revocation, Target};
use super::line::Line;
use super::links::Links;
use super::names::Collection;
use super::objects::Call;
use super::pages::Query;
use super::route::{Action, Route, route};
use super::world::{Vault, World};
use super::{certificates, keys, secrets};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

/// Counted under this where the path names no operation.
const UNKNOWN: &str = "Unknown";

/// A vault's port.
#[derive(Clone)]
struct Port {
    world: Arc<World>,
    vault: Arc<Vault>,
}

/// The API on the port of one vault; other vaults are reached there by host name.
pub(super) fn router(world: Arc<World>, vault: Arc<Vault>) -> Router {
    let stamp = from_fn_with_state(world.clone(), stamp);
    Router::new().fallback(serve).layer(stamp).with_state(Port { world, vault })
}

async fn serve(
    State(port): State<Port>,
    Extension(line): Extension<Line>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Port { world, vault } = port;
    let links = Links::of(&headers);
    let named = links.as_ref().ok().and_then(Links::vault_label);
    let vault = named.and_then(|label| world.vaults.get(&label.to_ascii_lowercase())).unwrap_or(&vault);
    let found = route(&method, uri.path());
    let (operation, object) = match &found {
        Ok(route) => (route.operation(), route.name.clone()),
        Err(_) => (UNKNOWN.to_owned(), String::new()),
    };
    let counted = world.calls.open(&vault.name, &operation, &object);
    let caller = world.access_tokens.authenticate(&headers, &demand_of(vault));
    let client = caller.as_ref().ok().cloned();
    if let Some(client) = &client {
        counted.by(client);
    }
    let admitted = caller.and_then(|client| permit(&world, vault, &client, &operation));
    let target = Target {
        vault: &vault.name,
        operation: &operation,
        object: &object,
        client: client.as_deref(),
        admitted: admitted.is_ok(),
    };
    let act = async |trouble| {
        let asked = admitted.and_then(|()| asked(found?, links?, &uri, body));
        match asked {
            Ok((route, links, query, body)) => {
                let (world, vault) = (world.clone(), vault.clone());
                dispatch(Call { world, vault, route, links, query, body, trouble }).await.into_response()
            }
            Err(refusal) => refusal.into_response(),
        }
    };
    let refuse = |instead: &Instead| refusal(&world, vault, instead).into_response();
    let answer = world.faults.through(&target, &line, refuse, act).await;
    counted.finish(answer.status());
    answer
}

fn demand_of(vault: &Vault) -> Demand<'_> {
    Demand { tenant: &vault.tenant, resource: &vault.resource }
}

/// May they do this.
fn permit(world: &World, vault: &Vault, client: &str, operation: &str) -> Result<(), Refusal> {
    if let Some(inner) = &vault.refuse {
        return Err(Refusal::forbidden(inner, "This vault refuses every caller."));
    }
    if vault.limit.as_ref().is_some_and(|limit| !limit.admits(Instant::now())) {
        return Err(Refusal::throttled());
    }
    if world.identities.may(client, &vault.name, operation) { Ok(()) } else { Err(Refusal::unauthorised(client)) }
}

/// Is the request well-formed.
fn asked(
    route: Route,
    links: Links,
    uri: &Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<(Route, Links, Query, Bytes), Refusal> {
    let query = Query::parse(uri.query());
    if query.get("api-version").is_none() {
        return Err(Refusal::bad_parameter("api-version must be specified."));
    }
    let body = body.map_err(|rejection| {
        Refusal::new(rejection.status(), "RequestBodyTooLarge", "The body is too large or came in part.")
    })?;
    Ok((route, links, query, body))
}

/// What a vault says where an armed fault answers in its stead.
fn refusal(world: &World, vault: &Vault, instead: &Instead) -> Refusal {
    let (status, retry_after, inner) = match instead {
        Instead::Status { code, retry_after, inner } => (*code, *retry_after, inner.as_deref()),
        Instead::Revoked(Revocation::Rights) => return Refusal::unauthorised("(revoked)"),
        Instead::Revoked(Revocation::Identity | Revocation::Credential) => (StatusCode::UNAUTHORIZED, None, None),
    };
    let mut refusal = match status {
        StatusCode::TOO_MANY_REQUESTS => Refusal::throttled(),
        StatusCode::UNAUTHORIZED => {
            world.access_tokens.challenge(&demand_of(vault), "An armed fault struck this call.")
        }
        _ => {
            let code = match status {
                StatusCode::FORBIDDEN => "Forbidden",
                StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
                _ => "InternalServerError",
            };
            Refusal::new(status, code, "An armed fault struck this call.")
        }
    };
    if let Some(value) = retry_after.and_then(|pause| pause.header(world.clock.now())) {
        refusal = refusal.with_header(header::RETRY_AFTER, value);
    }
    match inner {
        Some(inner) => refusal.with_inner(inner),
        None => refusal,
    }
}

/// Making keys takes long enough to stop everything else: it goes to a thread of its own.
async fn dispatch(call: Call) -> Result<Response, Refusal> {
    let serve = match call.route.collection {
        Collection::Secrets => secrets::serve,
        Collection::Certificates => certificates::serve,
        Collection::Keys => keys::serve,
    };
    if matches!(call.route.action, Action::Create | Action::Import) {
        let made = tokio::task::spawn_blocking(move || serve(&call)).await;
        return made.unwrap_or_else(|_| Err(Refusal::internal("Making the object failed.")));
    }
    serve(&call)
}

/// Headers every answer of a vault has. `Date` is by the emulator's clock: readers compare it with `updated`.
async fn stamp(State(world): State<Arc<World>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let request_id = uuid::Uuid::new_v4().to_string();
    if let (Ok(id), Ok(date)) = (HeaderValue::from_str(&request_id), http_date(world.clock.now()).parse()) {
        headers.insert(HeaderName::from_static("x-ms-request-id"), id);
        headers.insert(header::DATE, date);
    }
    response
}
