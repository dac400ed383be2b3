//! What is known of each secret between two looks: whether it is settled, and how often it has failed.
//!
//! A look is cheap while a secret is settled: nothing about it has changed, here or at the broker. Nothing in here is
//! needed to be right, only to be idle; a restart begins with none of it.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{akvs::Akvs, managed::Managed, target::Target};

/// All secrets.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    secrets: HashMap<String, Known>,
    /// Counts the times that the broker said that anything may have changed.
    resyncs: u64,
}

#[derive(Debug, Default)]
struct Known {
    /// Counts the times that the broker said that this one has changed.
    changes: u64,
    settled: Option<(Asked, Settled)>,
    failing: Option<Failing>,
    code: String,
}

/// A row of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failing {
    /// How many there have been.
    pub(super) failures: u32,
    /// Since when.
    pub(super) since: Instant,
    /// Whether the last one had the same code.
    pub(super) repeated: bool,
}

/// What the broker had said when a look began: a look is about nothing later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    changes: u64,
    resyncs: u64,
}

/// What a look begins with.
pub(super) struct Begun {
    pub(super) asked: Asked,
    /// What held when it was last settled, if the broker has said nothing since.
    pub(super) settled: Option<Settled>,
}

/// What a secret that is settled rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    uid: String,
    generation: i64,
    metadata: u64,
    written: Vec<(Target, String)>,
}

impl Settled {
    pub(super) fn new(akvs: &Akvs, written: Vec<(Target, String)>) -> Self {
        Self { uid: akvs.uid().to_owned(), generation: akvs.generation(), metadata: digest(akvs), written }
    }

    /// Whether neither the secret nor what was written for it has changed.
    pub(super) fn still_holds(&self, akvs: &Akvs, managed: &Managed) -> bool {
        self.uid == akvs.uid()
            && self.generation == akvs.generation()
            && self.metadata == digest(akvs)
            && self.written.iter().all(|(target, version)| managed.resource_version(target).as_ref() == Some(version))
            && managed
                .held_by(akvs.uid(), akvs.namespace())
                .iter()
                .all(|held| self.written.iter().any(|(target, _)| target == held))
    }
}

/// Labels and annotations: they may travel, and one of them lets take over.
fn digest(akvs: &Akvs) -> u64 {
    let mut digest = DefaultHasher::new();
    akvs.metadata.labels.hash(&mut digest);
    akvs.metadata.annotations.hash(&mut digest);
    digest.finish()
}

fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

impl Memory {
    pub(super) fn begin(&self, akvs: &Akvs) -> Begun {
        let mut inner = self.lock();
        let resyncs = inner.resyncs;
        let known = inner.secrets.entry(key(akvs.namespace(), akvs.name())).or_default();
        let asked = Asked { changes: known.changes, resyncs };
        let settled = known.settled.as_ref().filter(|(then, _)| *then == asked).map(|(_, settled)| settled.clone());
        Begun { asked, settled }
    }

    pub(super) fn settle(&self, akvs: &Akvs, asked: Asked, settled: Settled) {
        let mut inner = self.lock();
        let known = inner.secrets.entry(key(akvs.namespace(), akvs.name())).or_default();
        *known = Known { changes: known.changes, settled: Some((asked, settled)), ..Known::default() };
    }

    /// Notes a failure.
    pub(super) fn fail(&self, akvs: &Akvs, code: &str) -> Failing {
        let mut inner = self.lock();
        let known = inner.secrets.entry(key(akvs.namespace(), akvs.name())).or_default();
        known.settled = None;
        let failing = match known.failing {
            None => Failing { failures: 1, since: Instant::now(), repeated: false },
            Some(Failing { failures, since, .. }) => {
                Failing { failures: failures.saturating_add(1), since, repeated: known.code == code }
            }
        };
        known.failing = Some(failing);
        code.clone_into(&mut known.code);
        failing
    }

    /// The broker says that this secret has something new.
    pub fn changed(&self, namespace: &str, name: &str) {
        // Of one that was never looked at there is nothing to forget.
        if let Some(known) = self.lock().secrets.get_mut(&key(namespace, name)) {
            known.changes += 1;
        }
    }

    /// All secrets have been listed: nothing is remembered of others.
    pub fn retain(&self, listed: &[Arc<Akvs>]) {
        let listed: HashSet<String> = listed.iter().map(|akvs| key(akvs.namespace(), akvs.name())).collect();
        self.lock().secrets.retain(|key, _| listed.contains(key));
    }

    /// The broker says that any secret may have something new.
    pub fn resync(&self) {
        self.lock().resyncs += 1;
    }

    /// A secret is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lock().secrets.remove(&key(namespace, name));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::target::TargetKind;

    fn akvs(generation: i64, labels: &serde_json::Value) -> Akvs {
        serde_json::from_value(json!({"metadata": {
            "name": "db", "namespace": "shop", "uid": "u1", "generation": generation, "labels": labels,
        }}))
        .unwrap()
    }

    fn is_settled(memory: &Memory, akvs: &Akvs, managed: &Managed) -> bool {
        memory.begin(akvs).settled.is_some_and(|settled| settled.still_holds(akvs, managed))
    }

    #[test]
    fn a_settled_secret_stays_so_until_something_about_it_changes() {
        let (memory, managed) = (Memory::default(), Managed::default());
        let target = Target { kind: TargetKind::Secret, namespace: "shop".into(), name: "db".into() };
        let written = |version: &str| serde_json::from_value(json!({"resourceVersion": version})).unwrap();
        managed.set(target.clone(), &written("7"));
        let one = akvs(1, &json!({}));
        assert!(!is_settled(&memory, &one, &managed), "at first nothing is known");
        let settle = || {
            let asked = memory.begin(&one).asked;
            memory.settle(&one, asked, Settled::new(&one, vec![(target.clone(), "7".into())]));
            assert!(is_settled(&memory, &one, &managed));
        };
        settle();
        assert!(!is_settled(&memory, &akvs(2, &json!({})), &managed), "another generation");
        assert!(!is_settled(&memory, &akvs(1, &json!({"a": "b"})), &managed), "another label");
        memory.changed("shop", "other");
        assert!(is_settled(&memory, &one, &managed), "another secret");
        memory.changed("shop", "db");
        assert!(!is_settled(&memory, &one, &managed), "the broker said so");
        settle();
        memory.resync();
        assert!(!is_settled(&memory, &one, &managed), "the broker said that anything may have changed");
        settle();
        managed.set(target.clone(), &written("8"));
        assert!(!is_settled(&memory, &one, &managed), "somebody wrote to it");
        managed.set(target.clone(), &written("7"));
        settle();
        managed.remove(&target);
        assert!(!is_settled(&memory, &one, &managed), "somebody deleted it");
    }

    #[test]
    fn what_the_broker_says_during_a_look_is_not_lost() {
        let (memory, managed) = (Memory::default(), Managed::default());
        let one = akvs(1, &json!({}));
        let asked = memory.begin(&one).asked;
        memory.changed("shop", "db");
        memory.settle(&one, asked, Settled::new(&one, Vec::new()));
        assert!(!is_settled(&memory, &one, &managed));
    }

    #[test]
    fn failures_count_up_until_one_look_ends_well() {
        let memory = Memory::default();
        let one = akvs(1, &json!({}));
        let fail = |code| memory.fail(&one, code);
        let (first, second, third) = (fail("A"), fail("A"), fail("B"));
        assert_eq!([first.failures, second.failures, third.failures], [1, 2, 3]);
        assert_eq!([first.repeated, second.repeated, third.repeated], [false, true, false]);
        assert_eq!(first.since, third.since);
        let asked = memory.begin(&one).asked;
        memory.settle(&one, asked, Settled::new(&one, Vec::new()));
        assert_eq!(fail("A").failures, 1);
        memory.forget("shop", "db");
        assert_eq!(fail("A").failures, 1);
        memory.retain(&[]);
        assert_eq!(fail("A").failures, 1);
    }
}
