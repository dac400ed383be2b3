//! Managed identity: the instance metadata service, and App Service's endpoint. `expires_on` is a string in both: one
//! SDK refuses a number.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::config::Identity;
use super::faults::{Instead, Target};
use super::identities::Selector;
use super::line::Line;
use super::pages::Query;
use super::world::World;

/// `GET /metadata/identity/oauth2/token`
pub(super) async fn metadata(
    State(world): State<Arc<World>>,
    Extension(line): Extension<Line>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = Query::parse(query.as_deref());
    let refused = if headers.get("metadata").is_none_or(|value| !value.as_bytes().eq_ignore_ascii_case(b"true")) {
        Some(deny("bad_request", "Required metadata header not specified"))
    } else if headers.contains_key("x-forwarded-for") {
        Some(deny("bad_request", "X-Forwarded-For header is not allowed"))
    } else {
        None
    };
    answer(&world, &line, "imds", refused, &query).await
}

/// `GET /msi/token`
pub(super) async fn app_service(
    State(world): State<Arc<World>>,
    Extension(line): Extension<Line>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = Query::parse(query.as_deref());
    let sent = headers.get("x-identity-header");
    let refused = sent.is_none_or(|value| value.as_bytes() != world.identity_header.as_bytes()).then(|| {
        let body = json!({"statusCode": 401, "message": "X-IDENTITY-HEADER is missing or wrong."});
        (StatusCode::UNAUTHORIZED, Json(body)).into_response()
    });
    answer(&world, &line, "appservice", refused, &query).await
}

/// Counts the call and takes it through the armed faults; `refused` is what it gets for its headers.
async fn answer(world: &World, line: &Line, endpoint: &str, refused: Option<Response>, query: &Query) -> Response {
    let identity = world.identities.managed(&selector(query));
    let client = identity.as_ref().map(|identity| identity.client_id.clone());
    let call = world.calls.open(endpoint, "Token", "");
    if let Some(client) = &client {
        call.by(client);
    }
    let target = Target { vault: endpoint, operation: "Token", object: "", client: client.as_deref(), admitted: true };
    let act = async |_| refused.unwrap_or_else(|| token(world, query, identity.as_ref()));
    let answer = world.faults.through(&target, line, |instead: &Instead| refusal(world, instead), act).await;
    call.finish(answer.status());
    answer
}

/// What the endpoint says where an armed fault answers in its stead.
fn refusal(world: &World, instead: &Instead) -> Response {
    let Instead::Status { code, retry_after, .. } = instead else {
        return unknown_identity();
    };
    let mut response = (*code).into_response();
    if let Some(value) = retry_after.and_then(|pause| pause.header(world.clock.now())) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn selector(query: &Query) -> Selector<'_> {
    Selector {
        client: query.get("client_id").or_else(|| query.get("clientid")),
        object: query.get("object_id").or_else(|| query.get("principal_id")),
        resource: query.get("mi_res_id").or_else(|| query.get("msi_res_id")),
    }
}

fn token(world: &World, query: &Query, identity: Option<&Identity>) -> Response {
    if query.get("api-version").is_none() {
        return deny("invalid_request", "Required query variable 'api-version' is missing");
    }
    let Some(resource) = query.get("resource").filter(|resource| !resource.is_empty()) else {
        return deny("invalid_request", "Required query variable 'resource' is missing");
    };
    let Some(identity) = identity else {
        return unknown_identity();
    };
    let resource = resource.trim_end_matches("/.default").trim_end_matches('/');
    match world.access_tokens.issue(identity, resource) {
        Ok(issued) => Json(json!({
            "access_token": issued.token,
            "client_id": identity.client_id,
            "expires_in": super::auth::TOKEN_SECONDS.to_string(),
            "expires_on": issued.expires_on.to_string(),
            "resource": resource,
            "token_type": "Bearer",
        }))
        .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn deny(error: &str, description: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": error, "error_description": description}))).into_response()
}

fn unknown_identity() -> Response {
    deny("invalid_request", "Identity not found")
}
