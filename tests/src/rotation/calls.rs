//! What became of each call.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Who calls, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `Resolve` over a connection of its own.
    ResolveAnew,
    /// `Resolve` over one connection that is kept.
    ResolveKept,
    /// A launcher's process.
    Launch,
    /// A review over a connection of its own.
    ReviewAnew,
    /// A review over connections that are kept.
    ReviewKept,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 5] = [Self::ResolveAnew, Self::ResolveKept, Self::Launch, Self::ReviewAnew, Self::ReviewKept];

    /// In a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResolveAnew => "Resolve, new connection",
            Self::ResolveKept => "Resolve, kept connection",
            Self::Launch => "launcher",
            Self::ReviewAnew => "review, new connection",
            Self::ReviewKept => "review, kept connections",
        }
    }
}

/// Of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Good ones.
    pub good: u64,
    /// Failed ones, by reason.
    pub failed: BTreeMap<String, u64>,
}

impl Tally {
    /// All that failed.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

/// All so far.
#[derive(Debug, Default)]
pub struct Calls(Mutex<BTreeMap<Kind, Tally>>);

impl Calls {
    /// One has ended.
    pub fn note(&self, kind: Kind, ended: &anyhow::Result<()>) {
        let mut tallies = self.tallies();
        let tally = tallies.entry(kind).or_default();
        match ended {
            Ok(()) => tally.good += 1,
            Err(error) => *tally.failed.entry(reason(error)).or_default() += 1,
        }
    }

    /// Of one kind.
    pub fn of(&self, kind: Kind) -> Tally {
        self.tallies().get(&kind).cloned().unwrap_or_default()
    }

    /// Of every kind.
    pub fn all(&self) -> BTreeMap<Kind, Tally> {
        Kind::ALL.map(|kind| (kind, self.of(kind))).into()
    }

    fn tallies(&self) -> MutexGuard<'_, BTreeMap<Kind, Tally>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The whole chain of causes, each said once.
fn reason(error: &anyhow::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in error.chain() {
        let words = words(cause);
        if !said.iter().any(|said| said.contains(&words)) {
            said.push(words);
        }
    }
    said.join(": ")
}

/// A status prints its metadata too, which differ from call to call.
fn words(cause: &(dyn Error + 'static)) -> String {
    match cause.downcast_ref::<tonic::Status>() {
        Some(status) => format!("{:?}: {}", status.code(), status.message()),
        None => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn calls_are_counted_by_kind_and_failures_by_reason() {
        let calls = Calls::default();
        let refused = || Err(anyhow!("unknown issuer").context("no connection"));
        for ended in [Ok(()), refused(), Ok(()), refused(), Err(anyhow!("another value"))] {
            calls.note(Kind::ResolveAnew, &ended);
        }
        let tally = calls.of(Kind::ResolveAnew);
        assert_eq!((tally.good, tally.failures()), (2, 3));
        assert_eq!(tally.failed["no connection: unknown issuer"], 2);
        assert_eq!((calls.all().len(), calls.of(Kind::Launch)), (5, Tally::default()));
    }

    #[test]
    fn a_status_is_its_code_and_message() {
        let error = anyhow::Error::new(tonic::Status::unavailable("come again"));
        assert_eq!(reason(&error), "Unavailable: come again");
    }
}
