//! What to do about a Lease that was found. Pure.

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use tokio::time::Instant;

use super::LeaseConfig;

/// The lease as it was seen last, and since when it has been so.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    lease: Option<Lease>,
    since: Option<Instant>,
}

impl Seen {
    pub(super) fn look(&mut self, found: Option<&Lease>, now: Instant) {
        let revision = |lease: Option<&Lease>| lease.and_then(|lease| lease.metadata.resource_version.clone());
        if self.since.is_none() || revision(found) != revision(self.lease.as_ref()) {
            self.since = Some(now);
        }
        self.lease = found.cloned();
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// There is none.
    Create(Lease),
    /// It is ours, nobody's, or has run out.
    Replace(Lease),
    /// It is another's.
    Leave,
}

pub(super) fn step(found: Option<Lease>, seen: &Seen, config: &LeaseConfig, now: Instant) -> Step {
    let Some(mut lease) = found else {
        let metadata = ObjectMeta {
            name: Some(config.name.clone()),
            namespace: Some(config.namespace.clone()),
            ..ObjectMeta::default()
        };
        return Step::Create(Lease { metadata, spec: Some(taken(None, config)) });
    };
    let spec = lease.spec.take().unwrap_or_default();
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let lasts = lasts.map_or(config.duration, std::time::Duration::from_secs);
    let has_run_out = seen.since.is_some_and(|since| now.duration_since(since) > lasts);
    if holder == config.identity {
        let renewed = LeaseSpec { renew_time: Some(MicroTime(Timestamp::now())), ..spec };
        return Step::Replace(Lease { spec: Some(renewed), ..lease });
    }
    if holder.is_empty() || has_run_out {
        return Step::Replace(Lease { spec: Some(taken(spec.lease_transitions, config)), ..lease });
    }
    Step::Leave
}

fn taken(transitions: Option<i32>, config: &LeaseConfig) -> LeaseSpec {
    let now = MicroTime(Timestamp::now());
    LeaseSpec {
        holder_identity: Some(config.identity.clone()),
        lease_duration_seconds: i32::try_from(config.duration.as_secs()).ok(),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        lease_transitions: Some(transitions.map_or(0, |transitions| transitions.saturating_add(1))),
        ..LeaseSpec::default()
    }
}

/// The lease without a holder, if it is this one's.
pub(super) fn given_back(seen: &Seen, config: &LeaseConfig) -> Option<Lease> {
    let lease = seen.lease.clone()?;
    let spec = lease.spec.filter(|spec| spec.holder_identity.as_deref() == Some(config.identity.as_str()))?;
    // The API refuses an empty holder in newer versions, and takes none.
    Some(Lease { spec: Some(LeaseSpec { holder_identity: None, ..spec }), metadata: lease.metadata })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config(identity: &str) -> LeaseConfig {
        LeaseConfig {
            namespace: "keyward".into(),
            name: "keyward-controller".into(),
            identity: identity.into(),
            duration: Duration::from_secs(15),
        }
    }

    fn held_by(holder: Option<&str>, revision: &str) -> Lease {
        let spec = LeaseSpec {
            holder_identity: holder.map(Into::into),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(4),
            ..LeaseSpec::default()
        };
        let metadata = ObjectMeta { resource_version: Some(revision.into()), ..ObjectMeta::default() };
        Lease { metadata, spec: Some(spec) }
    }

    /// The step after `lease` has been seen unchanged for `seconds`.
    fn after(seconds: u64, lease: &Lease, identity: &str) -> Step {
        let start = Instant::now();
        let mut seen = Seen::default();
        seen.look(Some(lease), start);
        let now = start + Duration::from_secs(seconds);
        seen.look(Some(lease), now);
        step(Some(lease.clone()), &seen, &config(identity), now)
    }

    fn replaced(step: Step) -> LeaseSpec {
        let Step::Replace(lease) = step else { panic!("{step:?}") };
        assert_eq!(lease.metadata.resource_version.as_deref(), Some("7"), "only what was looked at is replaced");
        lease.spec.unwrap()
    }

    #[test]
    fn anothers_lease_is_left_until_it_has_been_seen_unchanged_for_its_time() {
        let lease = held_by(Some("a"), "7");
        assert_eq!(after(15, &lease, "b"), Step::Leave);
        let taken = replaced(after(16, &lease, "b"));
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("b"), Some(5)));
        assert!(taken.acquire_time.is_some());
    }

    #[test]
    fn a_renewed_lease_is_seen_anew() {
        let start = Instant::now();
        let mut seen = Seen::default();
        seen.look(Some(&held_by(Some("a"), "7")), start);
        seen.look(Some(&held_by(Some("a"), "8")), start + Duration::from_secs(14));
        let now = start + Duration::from_secs(20);
        assert_eq!(step(Some(held_by(Some("a"), "8")), &seen, &config("b"), now), Step::Leave);
    }

    #[test]
    fn ones_own_is_renewed_and_nobodys_taken_at_once() {
        let renewed = replaced(after(99, &held_by(Some("a"), "7"), "a"));
        assert_eq!((renewed.lease_transitions, renewed.acquire_time), (Some(4), None), "no transition");
        for nobody in [None, Some("")] {
            assert_eq!(replaced(after(0, &held_by(nobody, "7"), "b")).holder_identity.as_deref(), Some("b"));
        }
        let none = step(None, &Seen::default(), &config("a"), Instant::now());
        assert!(matches!(none, Step::Create(lease) if lease.spec.clone().unwrap().lease_transitions == Some(0)));
    }

    #[test]
    fn only_ones_own_is_given_back() {
        let mut seen = Seen::default();
        seen.look(Some(&held_by(Some("a"), "7")), Instant::now());
        assert_eq!(given_back(&seen, &config("b")), None);
        assert_eq!(given_back(&seen, &config("a")).unwrap().spec.unwrap().holder_identity, None);
    }
}
