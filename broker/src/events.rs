//! Event Grid's deliveries: word that something in a vault has changed, so that it is looked at now and not at the next
//! poll.
//!
//! An event is a hint and nothing more. What it says of versions and URLs is not looked at, no address in it is ever
//! called, and nothing of it reaches the cache: it names a declared vault and an object, and [`crate::poll::hints`] asks
//! the vault itself. Whoever can deliver events can make the broker look once a second, and nothing else.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`server`] | `/events` over HTTPS, bounded in every way | network |
//! | [`proof`] | what a delivery shows → whether it is taken | issuer's keys |
//! | [`shared_keys`] | the two keys that may be shown | files |
//! | `handshake` | Event Grid asks whether its events are wanted | none: pure |
//! | [`delivery`] | a body in either schema → notices | none: pure |
//! | `data` | an event's `data`, in whichever case its names are | none: pure |
//! | `whereabouts` | the vault that an event names → the one that is declared | none: pure |
//! | `seen` | which events came before | none |

mod data;
pub mod delivery;
mod handshake;
pub mod proof;
mod seen;
pub mod server;
pub mod shared_keys;
#[cfg(test)]
pub(crate) mod testing;
mod whereabouts;

use std::sync::{Arc, Mutex, PoisonError};

use self::{
    delivery::{Item, Notice},
    seen::Seen,
};
use crate::{
    metrics::Metrics,
    policy::Current,
    poll::hints::{Hint, Hinted},
};

/// What became of an event, or of a delivery that was refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The poller was told.
    Hinted,
    /// It came before.
    Duplicate,
    /// It is not about an object's versions or a vault's access policies.
    Other,
    /// Its vault is not declared.
    UnknownVault,
    /// It lacks what its schema demands.
    Malformed,
    /// Event Grid asked whether its events are wanted.
    Handshake,
    /// The delivery proved nothing.
    Unauthenticated,
    /// It was made by somebody who may not.
    Forbidden,
    /// It could not be told whether its proof is good.
    Unavailable,
    /// It was no delivery.
    BadRequest,
    /// There were too many at once.
    Busy,
}

impl Outcome {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Hinted,
        Self::Duplicate,
        Self::Other,
        Self::UnknownVault,
        Self::Malformed,
        Self::Handshake,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Unavailable,
        Self::BadRequest,
        Self::Busy,
    ];

    /// A bounded label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hinted => "hinted",
            Self::Duplicate => "duplicate",
            Self::Other => "other",
            Self::UnknownVault => "unknown_vault",
            Self::Malformed => "malformed",
            Self::Handshake => "handshake",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Unavailable => "unavailable",
            Self::BadRequest => "bad_request",
            Self::Busy => "busy",
        }
    }
}

/// Takes events in, once each.
pub struct Receiver {
    snapshot: Arc<Current>,
    hinted: Arc<dyn Hinted>,
    metrics: Arc<Metrics>,
    seen: Mutex<Seen>,
}

impl Receiver {
    /// Tells `hinted` of events about vaults that `snapshot` declares.
    pub fn new(snapshot: Arc<Current>, hinted: Arc<dyn Hinted>, metrics: Arc<Metrics>) -> Self {
        // A series that is not there has no increase when its first event comes, and alerts would miss it.
        for outcome in Outcome::ALL {
            metrics.events(outcome, 0);
        }
        Self { snapshot, hinted, metrics, seen: Mutex::default() }
    }

    /// Takes in what a delivery brought. Waits for nothing: whoever delivers is answered at once.
    fn take(&self, items: Vec<Item>) {
        for item in items {
            let outcome = match item {
                Item::Notice(notice) => self.follow(notice),
                Item::Other => Outcome::Other,
                Item::Malformed => Outcome::Malformed,
            };
            self.count(outcome);
        }
    }

    fn follow(&self, Notice { id, named, about }: Notice) -> Outcome {
        if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).is_new(&id) {
            return Outcome::Duplicate;
        }
        let vault = whereabouts::declared(&self.snapshot.load(), &named).map(|vault| vault.origin.clone());
        let Some(vault) = vault else { return Outcome::UnknownVault };
        tracing::debug!(%vault, ?about, "an event");
        self.hinted.hint(Hint { vault, about });
        Outcome::Hinted
    }

    fn count(&self, outcome: Outcome) {
        self.metrics.events(outcome, 1);
    }
}

#[cfg(test)]
mod tests;
