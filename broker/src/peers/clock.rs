//! When another replica said something, by the clock here.
//!
//! Ages travel and not times, since no two clocks agree. What a word is under way for would make what it tells of look younger:
//! read later than what is held, perhaps, and so newer. So each word says when it was said by its teller's clock, which goes as
//! fast as the one here, and the quickest word shows how far the two are apart. Only what all words take alike stays unknown.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::ticks::ticks;

/// Two clocks go apart by no more than one part in so many: far more than kernels let them.
const DRIFT: i64 = 1_000;

/// The clock of one other replica.
#[derive(Debug, Default)]
pub struct TheirClock(Mutex<Option<Apart>>);

/// How far ours was ahead of theirs, with what the quickest word was under way for.
#[derive(Clone, Copy, Debug)]
struct Apart {
    micros: i64,
    /// Ours.
    at: i64,
}

impl TheirClock {
    /// When a word was said that came at `now` and says that it was said at `said_at`. As if the quickest one had taken no time.
    pub fn said(&self, said_at: i64, now: Instant) -> Instant {
        let at = ticks(now);
        let micros = at.saturating_sub(said_at);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let quickest = known.map_or(micros, |before| micros.min(before.now(at)));
        *known = Some(Apart { micros: quickest, at });
        let under_way = u64::try_from(micros.saturating_sub(quickest)).unwrap_or_default();
        now.checked_sub(Duration::from_micros(under_way)).unwrap_or(now)
    }
}

impl Apart {
    fn now(self, at: i64) -> i64 {
        self.micros.saturating_add(at.saturating_sub(self.at) / DRIFT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as (said at by their clock, came at by ours), in milliseconds; and for how long each seems to have been under way.
    fn under_way(words: &[(i64, u64)]) -> Vec<u64> {
        let (clock, start) = (TheirClock::default(), Instant::now() + Duration::from_secs(1));
        let of = |&(said_at, came_at): &(i64, u64)| {
            let now = start + Duration::from_millis(came_at);
            (now - clock.said(said_at * 1_000, now)).as_millis().try_into().unwrap()
        };
        words.iter().map(of).collect()
    }

    #[test]
    fn a_word_that_waited_is_as_old_as_it_is() {
        for apart in [0, 5_000_000, -5_000_000] {
            let words =
                [(apart, 2), (apart + 200, 202), (apart + 400, 3_402), (apart + 600, 3_402), (apart + 3_600, 3_602)];
            assert_eq!(under_way(&words), [0, 0, 2_996, 2_796, 0], "{apart}");
        }
    }

    #[test]
    fn a_quicker_word_shows_what_the_first_ones_took() {
        assert_eq!(under_way(&[(0, 900), (200, 1_100), (1_100, 1_101), (1_200, 1_301)]), [0, 0, 0, 99]);
    }

    #[test]
    fn a_clock_that_goes_slower_makes_no_word_old() {
        let words: Vec<_> =
            (0..1_000).map(|second| (second * 1_000 - second / 2, u64::try_from(second).unwrap() * 1_000)).collect();
        assert!(under_way(&words).iter().all(|millis| *millis <= 1));
    }

    #[test]
    fn no_number_is_too_much() {
        let (clock, now) = (TheirClock::default(), Instant::now());
        for said_at in [i64::MIN, 0, i64::MAX, i64::MIN] {
            assert!(clock.said(said_at, now) <= now);
        }
    }
}
