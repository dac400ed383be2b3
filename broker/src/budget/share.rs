//! The part of a vault's budget that this replica may spend. Pure; whose part is whose is said by [`crate::peers`].

use std::time::Duration;

use tokio::time::Instant;

use crate::vault::origin::Origin;

/// What others lend runs out by itself: a process that was stopped for a while wakes up with what is its own.
pub const LENT_FOR: Duration = Duration::from_millis(900);

/// A part of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its own part is not lent to another one.
    pub own: bool,
    /// Parts that others lend to it.
    pub lent: u32,
    /// Of so many.
    pub of: u32,
    /// Since when nothing has moved; `None` for always. What was won only then is not there at once.
    pub since: Option<Instant>,
}

impl Share {
    /// Of one who has no others.
    pub const WHOLE: Self = Self { own: true, lent: 0, of: 1, since: None };

    /// How many parts it has.
    pub fn parts(self) -> u32 {
        self.lent.saturating_add(u32::from(self.own))
    }

    /// What is left when nobody lends any more.
    pub(super) fn unaided(self) -> Self {
        Self { lent: 0, ..self }
    }

    /// What that comes to, from 0 to 1.
    pub fn part(self) -> f64 {
        f64::from(self.parts().min(self.of)) / f64::from(self.of.max(1))
    }

    /// So much of `budget`.
    pub(super) fn of_budget(self, budget: u32) -> f64 {
        f64::from(budget) * self.part()
    }
}

/// Says what the share of a vault's budget is.
pub trait Shares: Send + Sync {
    /// Of the vault at `origin`, now.
    fn share(&self, origin: &Origin) -> Share;
}

/// There are no others.
#[derive(Clone, Copy, Debug)]
pub struct Undivided;

impl Shares for Undivided {
    fn share(&self, _: &Origin) -> Share {
        Share::WHOLE
    }
}
