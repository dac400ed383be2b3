//! What the status of an `AzureKeyVault` says, and the task that has it say so.
//!
//! Only the broker knows which of several declarations decides, so it writes. Every replica comes to the same words, and
//! writes only where other words stand; of two that write at once the API server takes the first.

use std::{sync::Arc, time::Duration};

use keyward_crds::{azure_key_vault, conditions::READY};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::raw::Raw;
use crate::{cluster::ask::AskError, policy::vaults::Standing};

const DEADLINE: Duration = Duration::from_secs(10);
/// What could not be written is tried again after this.
const RETRY: Duration = Duration::from_secs(15);
const MANAGER: &str = "keyward-broker";
/// Of a message, in characters.
const MAX_MESSAGE: usize = 1_024;

/// The condition `Ready`, without its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    ready: bool,
    reason: String,
    message: String,
    observed_generation: i64,
}

/// A status that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of which `AzureKeyVault`.
    pub name: String,
    /// As it was when this was decided; no later one is overwritten.
    pub resource_version: String,
    /// What it is to say.
    pub wanted: Condition,
    /// Since when it says the same, where only the words differ.
    pub since: Option<String>,
}

impl Condition {
    /// What `standing` comes to.
    pub fn new(standing: &Standing, observed_generation: i64) -> Self {
        let (reason, message) = match standing {
            Standing::Holds => ("Accepted", "This declaration decides for its vault."),
            Standing::Conflict(message) => ("Conflict", message.as_str()),
            Standing::Invalid(message) => ("Invalid", message.as_str()),
        };
        let message = message.chars().take(MAX_MESSAGE).collect();
        Self { ready: *standing == Standing::Holds, reason: reason.to_owned(), message, observed_generation }
    }

    /// What a `status` says, and since when.
    pub fn read(status: &Value) -> Option<(Self, Option<String>)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let conditions = status.get("conditions")?.as_array()?;
        let condition = conditions.iter().find(|one| one.get("type").and_then(Value::as_str) == Some(READY))?;
        let observed = |of: &Value| of.get("observedGeneration").and_then(Value::as_i64);
        let observed_generation = observed(condition).filter(|generation| observed(status) == Some(*generation))?;
        let read = Self {
            ready: condition.get("status").and_then(Value::as_str) == Some("True"),
            reason: condition.get("reason").and_then(text)?,
            message: condition.get("message").and_then(text)?,
            observed_generation,
        };
        Some((read, condition.get("lastTransitionTime").and_then(text)))
    }

    /// Whether it says yes or no as `other` does.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.ready == other.ready
    }
}

impl Verdict {
    fn patch(&self, now: OffsetDateTime) -> Value {
        let Condition { ready, reason, message, observed_generation } = &self.wanted;
        let whole_second = now.replace_nanosecond(0).unwrap_or(now);
        let since = self.since.clone().or_else(|| whole_second.format(&Rfc3339).ok());
        json!({
            "metadata": { "resourceVersion": self.resource_version },
            "status": {
                "observedGeneration": observed_generation,
                "conditions": [{
                    "type": READY, "status": if *ready { "True" } else { "False" }, "reason": reason,
                    "message": message, "observedGeneration": observed_generation, "lastTransitionTime": since,
                }],
            },
        })
    }
}

/// Writes verdicts: always the latest.
pub struct StatusWriter {
    vaults: Api<Raw>,
    verdicts: watch::Receiver<Arc<[Verdict]>>,
    /// It has complained already.
    failing: bool,
}

impl StatusWriter {
    /// Writes what comes by `verdicts`.
    pub fn new(client: Client, verdicts: watch::Receiver<Arc<[Verdict]>>) -> Self {
        Self { vaults: Api::all_with(client, &azure_key_vault::api_resource()), verdicts, failing: false }
    }

    /// Until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        // Whatever is under way is dropped: the next broker comes to the same words.
        shutdown.clone().run_until_cancelled(self.write_all()).await;
        shutdown.cancelled().await;
    }

    async fn write_all(&mut self) {
        loop {
            let verdicts = Arc::clone(&self.verdicts.borrow_and_update());
            let mut written = true;
            for verdict in &*verdicts {
                written &= self.write(verdict).await;
            }
            tokio::select! {
                changed = self.verdicts.changed() => if changed.is_err() { return },
                () = sleep(RETRY), if !written => {}
            }
        }
    }

    /// Whether there is no use in trying again.
    async fn write(&mut self, verdict: &Verdict) -> bool {
        let patch = Patch::Merge(verdict.patch(OffsetDateTime::now_utc()));
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let written = timeout(DEADLINE, self.vaults.patch_status(&verdict.name, &params, &patch)).await;
        let error = match written {
            Ok(Ok(_)) => {
                self.failing = false;
                return true;
            }
            // It has gone, or is another one by now: the watch tells.
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => return true,
            Ok(Err(error)) => AskError::of(&error),
            Err(_) => AskError::Late(DEADLINE),
        };
        if !std::mem::replace(&mut self.failing, true) {
            let object = format!("{}/{}", azure_key_vault::KIND, verdict.name);
            tracing::warn!(object, %error, "the status cannot be written; it will be tried again, policy holds all the same");
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for (standing, ready) in [
            (Standing::Holds, "True"),
            (Standing::Conflict("Conflict: another".into()), "False"),
            (Standing::Invalid("spec.url".into()), "False"),
        ] {
            let wanted = Condition::new(&standing, 3);
            let verdict =
                Verdict { name: "acme".into(), resource_version: "7".into(), wanted: wanted.clone(), since: None };
            let patch = verdict.patch(OffsetDateTime::UNIX_EPOCH);
            assert_eq!(patch["metadata"]["resourceVersion"], "7");
            assert_eq!(patch["status"]["conditions"][0]["status"], ready);
            let since = Some("1970-01-01T00:00:00Z".to_owned());
            assert_eq!(Condition::read(&patch["status"]), Some((wanted, since)));
        }
    }

    #[test]
    fn a_status_that_lacks_anything_is_written_anew() {
        let whole = json!({ "observedGeneration": 1, "conditions": [{
            "type": "Ready", "status": "True", "reason": "r", "message": "m", "observedGeneration": 1,
        }] });
        assert!(Condition::read(&whole).is_some());
        for pointer in ["/observedGeneration", "/conditions", "/conditions/0/type", "/conditions/0/observedGeneration"]
        {
            let mut status = whole.clone();
            *status.pointer_mut(pointer).unwrap() = Value::Null;
            assert_eq!(Condition::read(&status), None, "{pointer}");
        }
    }
}
