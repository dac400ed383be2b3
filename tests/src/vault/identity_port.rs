//! The identity port: Entra, and the cluster's token issuer.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::entra;
use super::issuer::ProjectedToken;
use super::world::World;

/// Both on one port.
pub(super) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/common/discovery/instance", get(entra::instance))
        .route("/{tenant}/oauth2/v2.0/token", post(entra::token))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(entra::configuration))
        .route("/{tenant}/discovery/v2.0/keys", get(entra::keys))
        .route("/.well-known/openid-configuration", get(configuration))
        .route("/openid/v1/jwks", get(jwks))
        .route("/projected-token", post(projected_token))
        .with_state(world)
}

async fn configuration(State(world): State<Arc<World>>) -> Json<Value> {
    Json(world.issuer.configuration())
}

async fn jwks(State(world): State<Arc<World>>) -> Json<Value> {
    Json(world.issuer.jwks())
}

/// Answers as the `TokenRequest` API does in `status`.
async fn projected_token(State(world): State<Arc<World>>, body: Bytes) -> Response {
    let asked: ProjectedToken = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    match world.issuer.issue(&asked) {
        Ok(token) => Json(json!({"token": token})).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
