//! The clock that stamps objects (`created`, `updated`, `deletedDate`) and answers (`Date`). Tests move it instead of
//! waiting. Tokens live by the system's clock: their readers cannot be moved.

use std::sync::Mutex;
use std::time::Duration;

use time::OffsetDateTime;

use super::lock::lock;

/// A clock that follows the system until it is set.
#[derive(Default)]
pub struct Clock {
    reading: Mutex<Reading>,
}

#[derive(Clone, Copy, Default)]
enum Reading {
    #[default]
    System,
    /// Runs with the system's, so many seconds ahead.
    Skewed(i64),
    Stopped(i64),
}

impl Reading {
    fn now(self) -> i64 {
        match self {
            Self::System => system_now(),
            Self::Skewed(seconds) => system_now().saturating_add(seconds),
            Self::Stopped(seconds) => seconds,
        }
    }
}

impl Clock {
    /// Seconds since 1970: Key Vault knows no finer grain.
    pub fn now(&self) -> i64 {
        lock(&self.reading).now()
    }

    /// Stops the clock at `seconds` since 1970.
    pub fn stop_at(&self, seconds: i64) {
        *lock(&self.reading) = Reading::Stopped(seconds);
    }

    /// Moves the clock forward and leaves it stopped there.
    pub fn advance(&self, by: Duration) {
        let mut reading = lock(&self.reading);
        *reading = Reading::Stopped(reading.now().saturating_add_unsigned(by.as_secs()));
    }

    /// Runs with the system's clock, so many seconds ahead of it, or behind where negative.
    pub fn skew(&self, seconds: i64) {
        *lock(&self.reading) = Reading::Skewed(seconds);
    }

    /// Follows the system's clock again.
    pub fn follow_system(&self) {
        *lock(&self.reading) = Reading::System;
    }
}

/// The system's clock, for tokens.
pub(super) fn system_now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_moves_only_when_told() {
        let clock = Clock::default();
        clock.stop_at(1_000);
        assert_eq!(clock.now(), 1_000);
        clock.advance(Duration::from_secs(60));
        assert_eq!(clock.now(), 1_060);
        clock.follow_system();
        assert!(clock.now() > 1_000_000_000);
    }

    #[test]
    fn a_skewed_clock_runs_beside_the_systems() {
        let clock = Clock::default();
        clock.skew(-3_600);
        let behind = system_now() - clock.now();
        assert!((3_600..3_610).contains(&behind), "{behind}");
        clock.follow_system();
        assert!(system_now() - clock.now() < 10);
    }
}
