//! Key Vault's own limit: so many requests in any ten seconds, and 429 beyond. What is refused does not count, and challenges
//! do not either. As the one that was captured, a refusal names no pause.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock::lock;

const WINDOW: Duration = Duration::from_secs(10);

/// Counts the requests of one vault.
pub(super) struct Limit {
    most: usize,
    admitted: Mutex<VecDeque<Instant>>,
}

impl Limit {
    /// So many in any ten seconds.
    pub(super) fn new(most: usize) -> Self {
        Self { most, admitted: Mutex::default() }
    }

    /// Whether one more may be answered.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut admitted = lock(&self.admitted);
        while admitted.front().is_some_and(|first| now.saturating_duration_since(*first) >= WINDOW) {
            admitted.pop_front();
        }
        let admits = admitted.len() < self.most;
        if admits {
            admitted.push_back(now);
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_ten_seconds_have_so_many_and_refusals_count_for_nothing() {
        let (limit, start) = (Limit::new(2), Instant::now());
        let admitted = [0, 4, 5, 9, 10, 13, 14].map(|second| limit.admits(start + Duration::from_secs(second)));
        assert_eq!(admitted, [true, true, false, false, true, false, true]);
    }
}
