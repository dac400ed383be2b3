//! What is known of each namespace between two looks: what became of it, and how long it is left alone.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::bundle::Bundle;
use crate::backoff::{self, Cause};

/// Writes in a row that need not wait. Who always finds it changed again fights with somebody.
const UNHURRIED: u32 = 3;

/// What became of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It has not been looked at, or something has to happen first.
    #[default]
    Waiting,
    /// It holds the authority.
    Published,
    /// It holds somebody else's `ConfigMap` of that name.
    Foreign,
    /// It cannot be read or written.
    Failing,
}

impl State {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Published, Self::Foreign, Self::Failing];

    /// As metrics say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Published => "published",
            Self::Foreign => "foreign",
            Self::Failing => "failing",
        }
    }
}

#[derive(Debug, Default)]
struct Look {
    state: State,
    /// Looks in a row that ended with a failure or a write.
    unsettled: u32,
    not_before: Option<Instant>,
    /// What was said last.
    told: Option<String>,
    /// What it holds, as far as we know.
    holds: Option<Bundle>,
}

#[derive(Debug, Default)]
struct Known {
    looks: HashMap<String, Look>,
    /// Whether all there are have been told of.
    listed: bool,
}

#[derive(Debug, Default)]
struct Inner {
    known: Mutex<Known>,
    moved: Notify,
}

/// All of them. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Looks(Arc<Inner>);

impl Looks {
    /// How many namespaces are in each state.
    pub fn counts(&self) -> BTreeMap<State, usize> {
        let mut counts = BTreeMap::from(State::ALL.map(|state| (state, 0)));
        for look in self.lock().looks.values() {
            *counts.entry(look.state).or_default() += 1;
        }
        counts
    }

    /// How long `namespace` is still to be left alone.
    pub(super) fn pause(&self, namespace: &str, now: Instant) -> Option<Duration> {
        let not_before = self.lock().looks.get(namespace)?.not_before?;
        not_before.checked_duration_since(now).filter(|pause| !pause.is_zero())
    }

    /// It is labelled.
    pub(super) fn meet(&self, namespace: &str) {
        self.lock().looks.entry(namespace.to_owned()).or_default();
    }

    /// It was found as it should be.
    pub(super) fn kept(&self, namespace: &str, bundle: &Bundle) {
        let holds = Some(bundle.clone());
        self.update(namespace, |look| *look = Look { state: State::Published, holds, ..Look::default() });
    }

    /// Something has to happen first.
    pub(super) fn waits(&self, namespace: &str) {
        self.update(namespace, |look| *look = Look::default());
    }

    /// It was written. Who does nothing else is slowed down.
    pub(super) fn wrote(&self, namespace: &str, bundle: &Bundle, now: Instant, chance: f64) {
        let holds = Some(bundle.clone());
        self.update(namespace, |look| {
            let unsettled = look.unsettled.saturating_add(1);
            let wait = (unsettled >= UNHURRIED)
                .then(|| backoff::wait(unsettled - UNHURRIED + 1, Cause::Passing, None, chance));
            let not_before = wait.map(|wait| now + wait);
            *look = Look { state: State::Published, unsettled, not_before, told: None, holds };
        });
    }

    /// It is somebody else's. Whether that is news.
    pub(super) fn foreign(&self, namespace: &str, why: &str) -> bool {
        self.update(namespace, |look| {
            let is_new = look.told.as_deref() != Some(why);
            *look = Look { state: State::Foreign, told: Some(why.to_owned()), ..Look::default() };
            is_new
        })
    }

    /// It could not be read or written. When to try again, and whether that is news.
    pub(super) fn failed(
        &self,
        namespace: &str,
        cause: Cause,
        why: &str,
        now: Instant,
        chance: f64,
    ) -> (Duration, bool) {
        self.update(namespace, |look| {
            let unsettled = look.unsettled.saturating_add(1);
            let wait = backoff::wait(unsettled, cause, None, chance);
            let is_new = look.told.as_deref() != Some(why);
            let (not_before, told) = (Some(now + wait), Some(why.to_owned()));
            *look = Look { state: State::Failing, unsettled, not_before, told, holds: None };
            (wait, is_new)
        })
    }

    /// It is gone, on its way out, or not labelled any more.
    pub(super) fn forget(&self, namespace: &str) {
        self.lock().looks.remove(namespace);
        self.0.moved.notify_one();
    }

    /// Forgets all others: these are all there are.
    pub(super) fn retain(&self, namespaces: &HashSet<String>) {
        let mut known = self.lock();
        known.looks.retain(|namespace, _| namespaces.contains(namespace));
        for namespace in namespaces {
            known.looks.entry(namespace.clone()).or_default();
        }
        known.listed = true;
        drop(known);
        self.0.moved.notify_one();
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        *self.lock() = Known::default();
    }

    /// Whether every namespace holds `bundle`. What is somebody else's is not waited for: it has been told of.
    pub(crate) fn all_hold(&self, bundle: &Bundle) -> bool {
        let known = self.lock();
        let holds = |look: &Look| match look.state {
            State::Published => look.holds.as_ref() == Some(bundle),
            State::Foreign => true,
            State::Waiting | State::Failing => false,
        };
        known.listed && known.looks.values().all(holds)
    }

    /// Returns once every namespace holds `bundle`. One may wait at a time.
    pub(crate) async fn until_all_hold(&self, bundle: &Bundle) {
        while !self.all_hold(bundle) {
            self.0.moved.notified().await;
        }
    }

    /// Nothing is remembered of who was forgotten meanwhile.
    fn update<T: Default>(&self, namespace: &str, update: impl FnOnce(&mut Look) -> T) -> T {
        let updated = self.lock().looks.get_mut(namespace).map(update).unwrap_or_default();
        self.0.moved.notify_one();
        updated
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
