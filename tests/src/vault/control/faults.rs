#![doc = include_str!("../faults.md")]

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Denial, parse};
use crate::vault::faults::{ArmError, Rule, RuleState};
use crate::vault::world::World;

#[derive(Deserialize)]
pub(super) struct Which {
    vault: Option<String>,
}

/// `GET /faults`
pub(super) async fn all(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"rules": world.faults.rules(), "gates": world.faults.gates()}))
}

/// `POST /faults`
pub(super) async fn arm(State(world): State<Arc<World>>, body: Bytes) -> Result<Json<Value>, Denial> {
    let rule: Rule = parse(&body)?;
    let armed = world.faults.arm(rule).map_err(|error| {
        let status = match error {
            ArmError::TooManyRules => StatusCode::TOO_MANY_REQUESTS,
            ArmError::Senseless(_) => StatusCode::BAD_REQUEST,
        };
        (status, format!("{error}\n"))
    })?;
    Ok(Json(json!({"id": armed})))
}

/// `DELETE /faults`, `DELETE /faults?vault=NAME`
pub(super) async fn clear(State(world): State<Arc<World>>, Query(which): Query<Which>) -> StatusCode {
    match which.vault {
        Some(vault) => {
            world.faults.lift_vault(&vault);
        }
        None => world.faults.clear(),
    }
    StatusCode::NO_CONTENT
}

/// `GET /faults/{id or name}`
pub(super) async fn show(
    State(world): State<Arc<World>>,
    Path(which): Path<String>,
) -> Result<Json<Vec<RuleState>>, Denial> {
    let found = world.faults.find(&which);
    if found.is_empty() { Err(no_such_rule(&which)) } else { Ok(Json(found)) }
}

/// `DELETE /faults/{id or name}`
pub(super) async fn lift(State(world): State<Arc<World>>, Path(which): Path<String>) -> Result<StatusCode, Denial> {
    match world.faults.lift_called(&which) {
        0 => Err(no_such_rule(&which)),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// `POST /faults/gates/{gate}/release`
pub(super) async fn release(State(world): State<Arc<World>>, Path(gate): Path<String>) -> StatusCode {
    world.faults.gate(&gate).release();
    StatusCode::NO_CONTENT
}

fn no_such_rule(which: &str) -> Denial {
    (StatusCode::NOT_FOUND, format!("no armed rule has the id or name {which}\n"))
}

#[cfg(test)]
mod tests {
    use crate::vault::faults::{Faults, Rule};

    #[test]
    fn the_documented_examples_can_be_armed() {
        let examples: Vec<&str> = include_str!("../faults.md").lines().filter(|line| line.starts_with('{')).collect();
        assert!(examples.len() > 20);
        let faults = Faults::default();
        for example in examples {
            let rule: Rule = serde_json::from_str(example).unwrap_or_else(|error| panic!("{example}: {error}"));
            faults.arm(rule).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }
}
