//! Which of a container's starts its pod shows. A pod's status lags behind what happens on its node, by a second or so: it may
//! show a start that is over and never one that is yet to come.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// For how long a container may still be launching after its start: the longest deadline that a launcher takes, and room for
/// clocks that differ. One that has been running for longer was given its values, or never will be.
pub const LAUNCHING: Duration = Duration::from_secs(65 * 60);

/// How much earlier than its pod a container may begin by the clock of its node before that clock is no longer believed.
const SKEW: i64 = 60;

/// One start of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// How often the container had been started before.
    pub restarts: u32,
    /// When it began, in seconds since 1970 by the clock of its node; `None` before anything began.
    pub began: Option<i64>,
}

impl Start {
    /// Whether it came after `other`. Either number alone may begin anew: the count when a node loses its containers, the time
    /// when the node's clock is set.
    pub fn is_newer_than(self, other: Self) -> bool {
        self.restarts > other.restarts || self.began.zip(other.began).is_some_and(|(this, other)| this > other)
    }
}

/// What a pod shows of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Its latest start; the first one where nothing is shown yet.
    pub start: Start,
    /// Whether it is running.
    pub is_running: bool,
    /// Whether that start is too long ago for a launcher to be still at it.
    pub is_over: bool,
}

impl Shown {
    /// As a status has it at `now`, of a pod that was created at `created`.
    pub(super) fn new(start: Start, is_running: bool, created: Option<i64>, now: SystemTime) -> Self {
        Self { start, is_running, is_over: is_over(start.began, created, now) }
    }
}

fn is_over(began: Option<i64>, created: Option<i64>, now: SystemTime) -> bool {
    let Some(began) = began else { return false };
    // A node whose clock is far behind must not make every first launch on it look like a late one.
    let is_believed = created.is_none_or(|created| began >= created.saturating_sub(SKEW));
    is_believed && unix(now).saturating_sub(began) >= LAUNCHING.as_secs().cast_signed()
}

/// Seconds since 1970.
pub(super) fn unix(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(restarts: u32, began: impl Into<Option<i64>>) -> Start {
        Start { restarts, began: began.into() }
    }

    #[test]
    fn a_start_is_newer_by_its_count_or_by_its_time() {
        for (this, other, newer) in [
            (start(0, None), start(0, None), false),
            (start(0, 100), start(0, None), false),
            (start(0, None), start(0, 100), false),
            (start(0, 100), start(0, 100), false),
            (start(1, 100), start(0, 100), true),
            (start(1, 101), start(0, 100), true),
            (start(1, None), start(0, 100), true),
            (start(0, 100), start(1, 100), false),
            (start(0, 99), start(1, 100), false),
            // The node lost its containers, and with them its count.
            (start(0, 101), start(5, 100), true),
            // The node's clock was put back.
            (start(6, 50), start(5, 100), true),
        ] {
            assert_eq!(this.is_newer_than(other), newer, "{this:?} {other:?}");
        }
    }

    #[test]
    fn a_start_is_over_once_no_launcher_can_be_at_it() {
        let launching = LAUNCHING.as_secs().cast_signed();
        for (began, created, now, over) in [
            (None, Some(1_000), i64::MAX, false),
            (Some(1_000), Some(1_000), 1_000 + launching - 1, false),
            (Some(1_000), Some(1_000), 1_000 + launching, true),
            (Some(1_000), None, 1_000 + launching, true),
            (Some(1_000), Some(1_060), 1_000 + launching, true),
            (Some(1_000), Some(1_061), 1_000 + launching, false),
            (Some(i64::MIN), None, 0, true),
            (Some(i64::MAX), None, i64::MAX, false),
            (Some(10_000), Some(1), 0, false),
        ] {
            let now = UNIX_EPOCH + Duration::from_secs(now.cast_unsigned().min(1 << 40));
            assert_eq!(is_over(began, created, now), over, "{began:?} {created:?}");
        }
    }
}
