//! Managed identity: the instance metadata service, and App Service's endpoint. `expires_on` is a string in both: one
//! SDK refuses a number.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::identities::Selector;
use super::pages::Query;
use super::world::World;

/// `GET /metadata/identity/oauth2/token`
pub(super) async fn metadata(
    State(world): State<Arc<World>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = Query::parse(query.as_deref());
    if headers.get("metadata").is_none_or(|value| !value.as_bytes().eq_ignore_ascii_case(b"true")) {
        return counted(&world, "imds", deny("bad_request", "Required metadata header not specified")).await;
    }
    if headers.contains_key("x-forwarded-for") {
        return counted(&world, "imds", deny("bad_request", "X-Forwarded-For header is not allowed")).await;
    }
    counted(&world, "imds", token(&world, &query)).await
}

/// `GET /msi/token`
pub(super) async fn app_service(
    State(world): State<Arc<World>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = Query::parse(query.as_deref());
    if headers.get("x-identity-header").is_none_or(|value| value.as_bytes() != world.identity_header.as_bytes()) {
        let body = json!({"statusCode": 401, "message": "X-IDENTITY-HEADER is missing or wrong."});
        return counted(&world, "appservice", (StatusCode::UNAUTHORIZED, Json(body)).into_response()).await;
    }
    counted(&world, "appservice", token(&world, &query)).await
}

async fn counted(world: &World, endpoint: &str, answer: Response) -> Response {
    let call = world.calls.open(endpoint, "Token", "");
    let answer = match world.faults.strike(endpoint, "Token", "").await {
        Some(fault) => {
            let status = StatusCode::from_u16(fault.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = status.into_response();
            if let Some(seconds) = fault.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        None => answer,
    };
    call.finish(answer.status());
    answer
}

fn token(world: &World, query: &Query) -> Response {
    if query.get("api-version").is_none() {
        return deny("invalid_request", "Required query variable 'api-version' is missing");
    }
    let Some(resource) = query.get("resource").filter(|resource| !resource.is_empty()) else {
        return deny("invalid_request", "Required query variable 'resource' is missing");
    };
    let selector = Selector {
        client: query.get("client_id").or_else(|| query.get("clientid")),
        object: query.get("object_id").or_else(|| query.get("principal_id")),
        resource: query.get("mi_res_id").or_else(|| query.get("msi_res_id")),
    };
    let Some(identity) = world.identities.managed(&selector) else {
        return deny("invalid_request", "Identity not found");
    };
    let resource = resource.trim_end_matches("/.default").trim_end_matches('/');
    match world.access_tokens.issue(&identity, resource) {
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
