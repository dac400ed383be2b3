//! Status and event, where there is something to say.

use std::time::Duration;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use keyward_crds::akvs::{GROUP, KIND};
use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType},
};
use serde_json::json;
use tokio::time::{error::Elapsed, timeout};

use super::{Context, shown};
use crate::{
    akvs::{Akvs, VERSION},
    objects::CONTROLLER,
    status::{self, Note, Outcome},
};

/// Longest that an event's note may be.
const MAX_NOTE: usize = 1_024;

/// For the status, and again for the event.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why a status is not written. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    /// The API server refuses, or cannot be asked.
    #[error(transparent)]
    Refused(#[from] kube::Error),
    /// It takes too long.
    #[error("the API server does not answer within {DEADLINE:?}")]
    Late(#[from] Elapsed),
}

/// Writes the status of `akvs` if it says something new, and tells an event if its state is new.
pub(super) async fn report(akvs: &Akvs, context: &Context, outcome: &Outcome) -> Result<(), ReportError> {
    let next = status::next(akvs.status.as_ref(), akvs.generation(), outcome, now());
    if let Some(status) = next.status {
        let body = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": KIND,
            // Whatever was changed since, or made anew under the same name, is looked at first.
            "metadata": {"resourceVersion": akvs.metadata.resource_version},
            "status": status,
        });
        let params = PatchParams { field_manager: Some(CONTROLLER.to_owned()), ..PatchParams::default() };
        let api: Api<Akvs> = Api::namespaced(context.client.clone(), akvs.namespace());
        timeout(DEADLINE, api.patch_status(akvs.name(), &params, &Patch::Merge(body))).await??;
        context.metrics.wrote(KIND, "status");
    }
    if let Some(note) = next.note {
        tell(akvs, context, note).await;
    }
    Ok(())
}

/// An event that cannot be told is no reason to try again: the status says the same.
async fn tell(akvs: &Akvs, context: &Context, note: Note) {
    let Note { warning, reason, message } = note;
    if warning {
        tracing::warn!(secret = %shown(akvs), %reason, message, "not ready");
    } else {
        tracing::info!(secret = %shown(akvs), %reason, message, "ready");
    }
    let event = Event {
        type_: if warning { EventType::Warning } else { EventType::Normal },
        reason: reason.to_string(),
        note: Some(message).filter(|message| message.len() <= MAX_NOTE),
        action: "Sync".to_owned(),
        secondary: None,
    };
    let reference = akvs.reference();
    let told = timeout(DEADLINE, context.recorder.publish(&event, &reference)).await;
    if let Err(error) = told.map_err(ReportError::from).and_then(|told| told.map_err(ReportError::from)) {
        tracing::warn!(secret = %shown(akvs), %error, "its event is not told");
    }
}

/// In whole seconds, as conditions are written.
fn now() -> Time {
    let now = Timestamp::now();
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}
