//! Saying what was done and what cannot be: in the log, by counters, and the few things that somebody should see by an event
//! on a Secret.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};
use tokio::time::timeout;

use super::{
    Keeper,
    carry_out::StepError,
    look::{DEADLINE, Look},
    plan::Step,
};
use crate::{
    backoff::{self, Cause},
    plan::Observed,
    target::Target,
};

/// What rests after it failed, and for how long.
#[derive(Debug, Default)]
pub(super) struct Resting(BTreeMap<Option<Step>, Rest>);

#[derive(Debug)]
struct Rest {
    failures: u32,
    until: Instant,
    told: String,
}

impl Resting {
    /// How long `step` rests; a look is no step.
    pub(super) fn rest(&self, step: Option<Step>, now: Instant) -> Option<Duration> {
        let rest = self.0.get(&step)?.until.checked_duration_since(now);
        rest.filter(|rest| !rest.is_zero())
    }

    /// When the first of `steps` has rested.
    pub(super) fn shortest(&self, steps: &[Step], now: Instant) -> Option<Duration> {
        steps.iter().filter_map(|step| self.rest(Some(*step), now)).min()
    }

    /// It was done.
    pub(super) fn done(&mut self, step: Option<Step>) {
        self.0.remove(&step);
    }

    /// It failed. Whether that is news.
    pub(super) fn failed(&mut self, step: Option<Step>, cause: Cause, why: &str, now: Instant, chance: f64) -> bool {
        let rest = self.0.entry(step).or_insert_with(|| Rest { failures: 0, until: now, told: String::new() });
        rest.failures = rest.failures.saturating_add(1);
        rest.until = now + backoff::wait(rest.failures, cause, None, chance);
        std::mem::replace(&mut rest.told, why.to_owned()) != why
    }
}

/// An event's type, reason and note.
type Told = (EventType, &'static str, String);

/// What people should see of a step.
fn told(step: Step) -> Option<Told> {
    let (type_, reason, note) = match step {
        Step::MakeAuthority => (EventType::Normal, "AuthorityMade", "A certificate authority was made"),
        Step::Restore => {
            (EventType::Warning, "AuthorityRestored", "The Secret was deleted, and written again as it was")
        }
        Step::Recover => (
            EventType::Warning,
            "AuthorityLost",
            "The Secret was lost with its key; another authority is published beside the certificates that are in use, and \
             used after the overlap",
        ),
        Step::Replace => (
            EventType::Warning,
            "AuthorityExpired",
            "The certificate authority is not valid at this time; another is in use at once. Connections may fail until \
             everybody has it; see to the controller's clock if this comes again",
        ),
        Step::Prepare => {
            (EventType::Normal, "RotationBegun", "Another certificate authority was made and is published")
        }
        Step::Activate => {
            (EventType::Normal, "AuthorityActivated", "The published certificate authority signs from now on")
        }
        Step::Retire => {
            (EventType::Normal, "RotationEnded", "The retired certificate authority is not trusted any more")
        }
        Step::TakeUp
        | Step::StampPublished
        | Step::StampReissued
        | Step::WriteHooks
        | Step::WriteBundle(_)
        | Step::Issue(_) => return None,
    };
    Some((type_, reason, note.to_owned()))
}

impl Keeper {
    /// What was wrong with what was read: each once, and again when it is something else.
    pub(super) async fn tell_problems(&mut self, look: &Look) {
        let mut messages = Vec::new();
        for problem in &look.problems {
            self.metrics.certificate_failed(problem.kind());
            let message = problem.to_string();
            if !self.told.contains(&message) {
                tracing::error!(message, "certificates");
                if let Some((secret, reason)) = problem.event() {
                    self.event(secret, look, (EventType::Warning, reason, message.clone())).await;
                }
            }
            messages.push(message);
        }
        self.told = messages;
    }

    /// A step was done.
    pub(super) async fn tell_done(&mut self, step: Step, look: &Look) {
        self.resting.done(Some(step));
        match step {
            Step::Issue(leaf) => self.metrics.issued(leaf.as_str()),
            Step::MakeAuthority | Step::Recover | Step::Replace | Step::Prepare => self.metrics.issued("authority"),
            _ => {}
        }
        let told = told(step);
        let note = told.as_ref().map(|(_, _, note)| note.as_str()).unwrap_or_default();
        if matches!(told, Some((EventType::Warning, ..))) {
            tracing::warn!(?step, note, "certificates");
        } else {
            tracing::info!(?step, note, "certificates");
        }
        if let Some(told) = told {
            self.event(&self.secret(&self.settings.authority), look, told).await;
        }
    }

    /// A step was not done.
    pub(super) fn tell_failed(&mut self, step: Step, error: &StepError) {
        let message = error.to_string();
        let is_new = self.resting.failed(Some(step), error.cause(), &message, Instant::now(), fastrand::f64());
        if error.is_outdated() {
            tracing::debug!(?step, message, "something newer is looked at");
            return;
        }
        self.metrics.certificate_failed(error.kind());
        if is_new {
            tracing::error!(?step, message, "a step of keeping certificates failed; it is tried again");
        }
    }

    async fn event(&self, secret: &Target, look: &Look, (type_, reason, note): Told) {
        let reference = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Secret".to_owned()),
            namespace: Some(secret.namespace.clone()),
            name: Some(secret.name.clone()),
            uid: self.found(secret, look).map(|found| found.uid.clone()),
            ..ObjectReference::default()
        };
        let event =
            Event { type_, reason: reason.to_owned(), note: Some(note), action: "Rotate".to_owned(), secondary: None };
        if !matches!(timeout(DEADLINE, self.recorder.publish(&event, &reference)).await, Ok(Ok(()))) {
            tracing::debug!(reason, "an event is not told");
        }
    }

    /// One of our Secrets as it was found.
    fn found<'a>(&self, secret: &Target, look: &'a Look) -> Option<&'a Observed> {
        let leaf = self.settings.leaves.iter().find(|wanted| wanted.secret.as_ref() == Some(&secret.name));
        leaf.map_or(look.authority.as_ref(), |wanted| look.secrets.get(&wanted.leaf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_rests_longer_each_time_and_nothing_else_does() {
        let (mut resting, now) = (Resting::default(), Instant::now());
        let step = Some(Step::WriteHooks);
        assert!(resting.failed(step, Cause::Passing, "down", now, 0.5));
        assert_eq!(resting.rest(step, now), Some(Duration::from_millis(500)));
        assert!(!resting.failed(step, Cause::Passing, "down", now, 0.5));
        assert!(resting.failed(step, Cause::Passing, "refused", now, 0.5));
        assert_eq!(resting.rest(step, now), Some(Duration::from_secs(2)));
        assert_eq!(resting.shortest(&[Step::Retire, Step::WriteHooks], now), Some(Duration::from_secs(2)));
        assert_eq!(resting.rest(Some(Step::Retire), now), None);
        assert_eq!(resting.rest(step, now + Duration::from_secs(2)), None);
        resting.done(step);
        assert_eq!(resting.rest(step, now), None);
    }
}
