//! The control API on the plain HTTP port. It asks nobody who they are: keep the port on loopback.
//!
//! | request | does |
//! |---|---|
//! | `GET /healthz` | 200 once the emulator serves |
//! | `GET /ca.pem` | the authority that clients are to trust |
//! | `GET /calls` | counts as JSON rows `{vault, operation, object, status, count}` |
//! | `DELETE /calls` | forgets the counts |
//! | `GET /calls/log` | the latest calls one by one: `{"forgotten": N, "calls": [{sinceStartMicros, vault, operation, object, client, status}]}` |
//! | `POST /faults` | arms a rule: [`faults`] has an example of each |
//! | `GET /faults` | rules that still strike, each with its `id` and how often it `struck`; and gates |
//! | `GET /faults/ID`, `GET /faults/NAME` | the rules of that id or name, spent ones too |
//! | `DELETE /faults/ID`, `DELETE /faults/NAME` | lifts them |
//! | `DELETE /faults?vault=NAME` | lifts all rules that name that vault |
//! | `DELETE /faults` | lifts all, opens all gates |
//! | `POST /faults/gates/NAME/release` | lets held calls through |
//! | `GET /clock` | `{"now": SECONDS}` |
//! | `PUT /clock` | `{"now": SECONDS}` stops it there, `{"advanceSeconds": N}` moves it and stops it, `{"skewSeconds": N}` lets it run N seconds ahead of the system's (behind where negative), `{}` with the system's |

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::calls::CallRecord;
use super::imds;
use super::world::World;

pub mod faults;

/// Control API, IMDS and App Service.
pub(super) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/ca.pem", get(ca_pem))
        .route("/calls", get(calls).delete(reset_calls))
        .route("/calls/log", get(call_log))
        .route("/faults", get(faults::all).post(faults::arm).delete(faults::clear))
        .route("/faults/{which}", get(faults::show).delete(faults::lift))
        .route("/faults/gates/{gate}/release", post(faults::release))
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

async fn call_log(State(world): State<Arc<World>>) -> Json<Value> {
    let report = world.calls.report();
    let call = |record: &Arc<CallRecord>| {
        let since_start = record.at.saturating_duration_since(world.began).as_micros();
        json!({
            "sinceStartMicros": u64::try_from(since_start).unwrap_or(u64::MAX),
            "vault": record.vault,
            "operation": record.operation,
            "object": record.object,
            "client": record.client,
            "status": record.status,
        })
    };
    let calls: Vec<Value> = report.log().iter().map(call).collect();
    Json(json!({"forgotten": report.forgotten(), "calls": calls}))
}

async fn clock(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"now": world.clock.now()}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetClock {
    now: Option<i64>,
    advance_seconds: Option<u64>,
    skew_seconds: Option<i64>,
}

async fn set_clock(State(world): State<Arc<World>>, body: Bytes) -> Result<Json<Value>, Denial> {
    match parse(&body)? {
        SetClock { now: None, advance_seconds: None, skew_seconds: None } => world.clock.follow_system(),
        SetClock { now: None, advance_seconds: None, skew_seconds: Some(seconds) } => world.clock.skew(seconds),
        SetClock { skew_seconds: Some(_), .. } => {
            return Err((StatusCode::BAD_REQUEST, "a clock that is skewed runs: give skewSeconds alone\n".to_owned()));
        }
        SetClock { now, advance_seconds, skew_seconds: None } => {
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
