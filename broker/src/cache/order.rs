//! When something was read from a vault, and which of two readings was the later one.

use tokio::time::Instant;

use super::Keeper;
use crate::ticks::ticks;

/// When the request began by which something was found.
///
/// How old a word of another replica is, is known to some milliseconds. Which of two words of the same replica is about the later
/// reading, it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadAt {
    /// By the clock here.
    pub instant: Instant,
    told: Option<(Keeper, i64)>,
}

impl ReadAt {
    /// By this replica.
    pub fn here(instant: Instant) -> Self {
        Self { instant, told: None }
    }

    /// As `by` told it, whose [`ReadAt::order`] is `order`.
    pub fn told(instant: Instant, by: Keeper, order: i64) -> Self {
        Self { instant, told: Some((by, order)) }
    }

    /// Whether word of it came from another replica.
    pub fn is_told(self) -> bool {
        self.told.is_some()
    }

    /// Its place among all that this process knows, in microseconds; for other replicas.
    pub fn order(self) -> i64 {
        ticks(self.instant)
    }

    /// Whether it was later than `other`.
    pub fn is_after(self, other: Self) -> bool {
        match (self.told, other.told) {
            (Some((by, order)), Some((other_by, other_order))) if by == other_by => order > other_order,
            _ => self.instant > other.instant,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::*;

    #[test]
    fn the_later_one_is_later_whenever_word_of_it_came() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let [one, other] = [1, 2].map(|number| Keeper::other(NonZeroU32::new(number).unwrap()));
        for (first, then) in [
            (ReadAt::here(now), ReadAt::here(now + second)),
            // Of one teller its own word counts; word of the first had to wait.
            (ReadAt::told(now + second, one, 1), ReadAt::told(now, one, 2)),
            (ReadAt::told(now, one, 2), ReadAt::told(now + second, other, 1)),
            (ReadAt::told(now, one, 2), ReadAt::here(now + second)),
        ] {
            assert!(then.is_after(first) && !first.is_after(then) && !first.is_after(first), "{first:?} {then:?}");
        }
    }
}
