//! How long an authority that failed is left alone.

use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// The longest pause an authority may ask for; a longer one is taken for a mistake.
const LONGEST_ASKED: Duration = Duration::from_mins(5);

/// After `failures` in a row: 1, 2, 4, … 30 s, of which the last half is up to `fraction` (of 256), so that a broker's
/// replicas do not come together; longer where the authority asked for it.
pub(super) fn after(failures: u32, asked: Option<Duration>, fraction: u8) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST);
    let jittered = doubled / 2 + doubled / 2 * u32::from(fraction) / 256;
    asked.map_or(jittered, |asked| jittered.max(asked.min(LONGEST_ASKED)))
}

/// Any byte; where the system has no chance to give, none.
pub(super) fn fraction() -> u8 {
    let mut byte = [0];
    // Without randomness the pause is only less even.
    let _ = SystemRandom::new().fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_bound() {
        for (failures, at_most) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30), (u32::MAX, 30)] {
            let (least, most) = (after(failures, None, 0), after(failures, None, 255));
            assert_eq!(least, Duration::from_secs(at_most) / 2);
            assert!(most > least && most <= Duration::from_secs(at_most), "{failures}: {most:?}");
        }
    }

    #[test]
    fn a_longer_pause_is_kept_where_it_was_asked_for_and_sane() {
        for (asked, pause) in [(0, 500), (10, 10_000), (100_000, 300_000)] {
            assert_eq!(after(1, Some(Duration::from_secs(asked)), 0), Duration::from_millis(pause));
        }
    }
}
