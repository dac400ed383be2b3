//! The vaults' REST API: from a request to the kind of object that answers it. The order of checks is Key Vault's: who
//! asks, is the request well-formed, may they; then armed faults strike.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use time::OffsetDateTime;

use super::auth::Demand;
use super::errors::Refusal;
use super::faults::StatusFault;
use super::links::Links;
use super::names::Collection;
use super::objects::Call;
use super::pages::Query;
use super::route::{Action, route};
use super::world::{Vault, World};
use super::{certificates, keys, secrets};

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
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let links = Links::of(&headers);
    let vault = links.as_ref().ok().and_then(Links::vault_label);
    let vault = vault.and_then(|label| port.world.vaults.get(&label.to_ascii_lowercase())).unwrap_or(&port.vault);
    let found = route(&method, uri.path());
    let (operation, object) = match &found {
        Ok(route) => (route.operation(), route.name.clone()),
        Err(_) => (UNKNOWN.to_owned(), String::new()),
    };
    let counted = port.world.calls.open(&vault.name, &operation, &object);
    let answer = async {
        admit(&port.world, vault, &headers, &operation, &object).await?;
        let route = found?;
        let query = Query::parse(uri.query());
        if query.get("api-version").is_none() {
            return Err(Refusal::bad_parameter("api-version must be specified."));
        }
        let body = body.map_err(|rejection| {
            Refusal::new(rejection.status(), "RequestBodyTooLarge", "The body is too large or came in part.")
        })?;
        let (world, vault) = (port.world.clone(), vault.clone());
        dispatch(Call { world, vault, route, links: links?, query, body }).await
    };
    let answer = answer.await.into_response();
    counted.finish(answer.status());
    answer
}

/// Who asks, may they, and is there trouble on demand.
async fn admit(
    world: &World,
    vault: &Vault,
    headers: &HeaderMap,
    operation: &str,
    object: &str,
) -> Result<(), Refusal> {
    let demand = Demand { tenant: &vault.tenant, resource: &vault.resource };
    let client = world.access_tokens.authenticate(headers, &demand)?;
    if let Some(inner) = &vault.refuse {
        return Err(Refusal::forbidden(inner, "This vault refuses every caller."));
    }
    if !world.identities.may(&client, &vault.name, operation) {
        let message = format!(
            "Caller is not authorized to perform action on resource. If role assignments, deny assignments or role \
             definitions were changed recently, please observe propagation time. Caller: appid={client}"
        );
        return Err(Refusal::forbidden("ForbiddenByRbac", message));
    }
    match world.faults.strike(&vault.name, operation, object).await {
        Some(fault) => Err(struck(fault)),
        None => Ok(()),
    }
}

fn struck(fault: StatusFault) -> Refusal {
    let refusal = match fault.code {
        429 => return Refusal::throttled(fault.retry_after),
        code => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let code = match status {
                StatusCode::FORBIDDEN => "Forbidden",
                StatusCode::UNAUTHORIZED => "Unauthorized",
                StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
                _ => "InternalServerError",
            };
            Refusal::new(status, code, "An armed fault struck this call.")
        }
    };
    let refusal = match fault.retry_after {
        Some(seconds) => refusal.with_header(header::RETRY_AFTER, HeaderValue::from(seconds)),
        None => refusal,
    };
    match fault.inner {
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

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn http_date(seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        &weekday[..3],
        at.day(),
        &month[..3],
        at.year(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_wants_them() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
