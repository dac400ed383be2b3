//! The control API on the plain HTTP port. It asks nobody who they are: keep the port on loopback.
//!
//! | request | does |
//! |---|---|
//! | `GET /healthz` | 200 once the emulator serves |
//! | `GET /ca.pem` | the authority that clients are to trust |
//! | `GET /calls` | counts as JSON rows `{vault, operation, object, status, count}` |
//! | `DELETE /calls` | forgets the counts |
//! | `POST /faults` | arms a rule: `{"vault", "operation", "object", "times", "fault"}`, all but `fault` optional; `fault` is `{"status": {"code": 429, "retryAfter": 1, "inner": "…"}}`, `{"delay": {"millis": 100}}` or `{"hold": {"gate": "NAME"}}` |
//! | `GET /faults` | armed rules and gates |
//! | `DELETE /faults` | disarms all, opens all gates |
//! | `POST /faults/gates/NAME/release` | lets held calls through |
//! | `GET /clock` | `{"now": SECONDS}` |
//! | `PUT /clock` | `{"now": SECONDS}` stops it there, `{"advanceSeconds": N}` moves it, `{}` lets it run again |

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::faults::Rule;
use super::imds;
use super::world::World;

/// Control API, IMDS and App Service.
pub(super) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/ca.pem", get(ca_pem))
        .route("/calls", get(calls).delete(reset_calls))
        .route("/faults", get(faults).post(arm).delete(disarm))
        .route("/faults/gates/{gate}/release", post(release))
        .route("/clock", get(clock).put(set_clock))
        .route("/metadata/identity/oauth2/token", get(imds::metadata))
        .route("/msi/token", get(imds::app_service))
        .with_state(world)
}

/// IMDS alone, for its well-known address.
pub(super) fn imds_router(world: Arc<World>) -> Router {
    Router::new().route("/metadata/identity/oauth2/token", get(imds::metadata)).with_state(world)
}

async fn ca_pem(State(world): State<Arc<World>>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], world.ca_pem.clone()).into_response()
}

async fn calls(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!(world.calls.report().rows()))
}

async fn reset_calls(State(world): State<Arc<World>>) -> StatusCode {
    world.calls.reset();
    StatusCode::NO_CONTENT
}

async fn faults(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"rules": world.faults.rules(), "gates": world.faults.gates()}))
}

async fn arm(State(world): State<Arc<World>>, body: Bytes) -> Result<StatusCode, Denial> {
    let rule: Rule = parse(&body)?;
    world.faults.arm(rule).map_err(|error| (StatusCode::TOO_MANY_REQUESTS, format!("{error}\n")))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn disarm(State(world): State<Arc<World>>) -> StatusCode {
    world.faults.clear();
    StatusCode::NO_CONTENT
}

async fn release(State(world): State<Arc<World>>, Path(gate): Path<String>) -> StatusCode {
    world.faults.gate(&gate).release();
    StatusCode::NO_CONTENT
}

async fn clock(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"now": world.clock.now()}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetClock {
    now: Option<i64>,
    advance_seconds: Option<u64>,
}

async fn set_clock(State(world): State<Arc<World>>, body: Bytes) -> Result<Json<Value>, Denial> {
    match parse(&body)? {
        SetClock { now: None, advance_seconds: None } => world.clock.follow_system(),
        SetClock { now, advance_seconds } => {
            if let Some(now) = now {
                world.clock.stop_at(now);
            }
            if let Some(seconds) = advance_seconds {
                world.clock.advance(Duration::from_secs(seconds));
            }
        }
    }
    Ok(Json(json!({"now": world.clock.now()})))
}

/// What a request gets that cannot be done.
type Denial = (StatusCode, String);

/// JSON whatever the content type says: people use curl.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Denial> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))
}
