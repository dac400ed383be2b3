//! How often anything is done: a whole rotation at once, and whoever always changes it back is not fought faster than this.
//! Pure.

use std::time::{Duration, Instant};

/// Steps that need not wait.
const BURST: f64 = 40.0;
const PER_SECOND: f64 = 2.0;

/// A bucket of steps.
#[derive(Debug)]
pub(super) struct Pace {
    left: f64,
    filled: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, filled: now }
    }

    /// Counts a step. How long to wait before the next one.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * PER_SECOND;
        self.left = (self.left + gained).min(BURST) - 1.0;
        self.filled = now;
        Duration::from_secs_f64((-self.left / PER_SECOND).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_what_goes_on_is_slowed_down() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert!((0..40).all(|_| pace.take(now).is_zero()));
        assert_eq!(pace.take(now), Duration::from_millis(500));
        assert_eq!(pace.take(now + Duration::from_millis(500)), Duration::from_millis(500));
        let rested = now + Duration::from_secs(60);
        assert!((0..40).all(|_| pace.take(rested).is_zero()));
        assert_eq!(pace.take(rested), Duration::from_millis(500));
    }
}
