//! What became of a secret → its status, and the event about it. Pure.
//!
//! A status is written when it says something else than before, and an event when the state is another: never because
//! time has passed or the same attempt has failed again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use keyward_crds::conditions::{READY, Reason};
use serde::{Deserialize, Serialize};

use crate::{
    backoff::Cause,
    target::{Target, TargetKind},
};

/// The part of `status` that is ours. What akv2k8s left beside it stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// `Ready`.
    pub conditions: Vec<Condition>,
    /// The generation that it is about.
    pub observed_generation: Option<i64>,
    /// The object's version in Key Vault.
    pub version: Option<String>,
    /// The object's own expiry.
    pub expires: Option<Time>,
    /// The Secret that was written.
    pub secret_name: Option<String>,
    /// The `ConfigMap` that was written.
    pub config_map_name: Option<String>,
}

/// What became of one secret.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Everything it asks for is written.
    Synced {
        /// The version written.
        version: String,
        /// Its expiry.
        expires: Option<Time>,
        /// What was written.
        targets: Vec<Target>,
    },
    /// It asks for nothing to be written and may be referred to.
    Admitted {
        /// The version that the broker holds, if any.
        version: Option<String>,
        /// Its expiry.
        expires: Option<Time>,
    },
    /// It did not work. What was written before stays.
    Failed(Failure),
}

/// Why it did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The condition's reason.
    pub reason: Reason,
    /// For people: which object, why, what to do.
    pub message: String,
    /// What may mend it.
    pub cause: Cause,
    /// Tells failures of one reason apart; empty where there is no more to tell.
    pub code: String,
    /// Whether the attempt before failed for the same: what passes is told with other words at each, and the first will do.
    pub repeated: bool,
}

/// An event to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether something is wrong.
    pub warning: bool,
    /// The condition's reason.
    pub reason: Reason,
    /// For people.
    pub message: String,
}

/// What to write and to tell; `None` where there is nothing to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Next {
    /// The new status.
    pub status: Option<Status>,
    /// The event.
    pub note: Option<Note>,
}

impl Status {
    /// The `Ready` condition.
    pub fn ready(&self) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == READY)
    }

    /// Whether it says that all is well.
    pub fn is_ready(&self) -> bool {
        self.ready().is_some_and(|ready| ready.status == "True")
    }
}

/// Decides. `old` is what the API server holds.
pub fn next(old: Option<&Status>, generation: i64, outcome: &Outcome, now: Time) -> Next {
    let before = old.cloned().unwrap_or_default();
    let said = Said::of(&before, outcome);
    let mut after = Status { observed_generation: Some(generation), ..before.clone() };
    match outcome {
        Outcome::Synced { version, expires, targets } => {
            let named = |kind| targets.iter().find(|target| target.kind == kind).map(|target| target.name.clone());
            after.version = Some(version.clone());
            after.expires.clone_from(expires);
            after.secret_name = named(TargetKind::Secret);
            after.config_map_name = named(TargetKind::ConfigMap);
        }
        Outcome::Admitted { version, expires } => {
            (after.secret_name, after.config_map_name) = (None, None);
            // What is not held says nothing: the version that was known may well be the current one, unless the spec has
            // changed since, and with it perhaps the object.
            if version.is_some() || before.observed_generation != Some(generation) {
                after.version.clone_from(version);
                after.expires.clone_from(expires);
            }
        }
        Outcome::Failed(_) => {}
    }
    let old_ready = before.ready();
    let same_status = old_ready.filter(|old| old.status == said.status);
    let ready = Condition {
        type_: READY.to_owned(),
        status: said.status.to_owned(),
        reason: said.reason.to_string(),
        last_transition_time: same_status.map_or(now, |old| old.last_transition_time.clone()),
        observed_generation: Some(generation),
        message: said.message.clone(),
    };
    let another_state = old_ready.is_none_or(|old| old.status != said.status || old.reason != said.reason.as_str());
    let another_version = !said.warning && after.version.is_some() && before.version != after.version;
    after.conditions.retain(|condition| condition.type_ != READY);
    after.conditions.push(ready);
    let Said { warning, reason, message, .. } = said;
    let note = (another_state || another_version).then_some(Note { warning, reason, message });
    Next { status: (after != before).then_some(after), note }
}

/// An outcome in words.
struct Said {
    status: &'static str,
    reason: Reason,
    message: String,
    warning: bool,
}

impl Said {
    fn of(before: &Status, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Synced { version, targets, .. } => {
                let written: Vec<String> =
                    targets.iter().map(|target| format!("{} {}", target.kind.as_str(), target.name)).collect();
                let message = format!("version {version} is in {}", written.join(" and "));
                Self { status: "True", reason: Reason::Synced, message, warning: false }
            }
            Outcome::Admitted { .. } => {
                let message = "it has no output; pods of this namespace may refer to it".to_owned();
                Self { status: "True", reason: Reason::Admitted, message, warning: false }
            }
            Outcome::Failed(Failure { reason, message, cause, repeated, .. }) => {
                let same = *repeated && *cause == Cause::Passing;
                let told = before.ready().filter(|ready| same && ready.reason == reason.as_str());
                let message = told.map_or_else(|| clipped(message), |ready| ready.message.clone());
                Self { status: "False", reason: *reason, message, warning: true }
            }
        }
    }
}

/// An event takes a kilobyte.
fn clipped(message: &str) -> String {
    const LONGEST: usize = 1_000;
    let end = message.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last().unwrap_or_default();
    if message.len() <= LONGEST { message.to_owned() } else { format!("{}…", &message[..end]) }
}

#[cfg(test)]
mod tests;
