//! When a secret that failed is tried again. Pure but for chance.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
/// Long enough to cost nothing, short enough that a mended vault needs nobody's hand.
const LONGEST: Duration = Duration::from_secs(300);
/// For what stays wrong until somebody changes something: the change is told by a watch.
const UNHURRIED: Duration = Duration::from_secs(30);

/// The wait before attempt number `failures` + 1: doubled each time, never below what the broker advised, spread by
/// `chance` (0 to 1) over a fifth on either side.
pub fn wait(failures: u32, passing: bool, advised: Option<Duration>, chance: f64) -> Duration {
    let first = if passing { FIRST } else { UNHURRIED };
    let doubled = first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let wait = doubled.min(LONGEST).mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0));
    wait.max(advised.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes() {
        let waits: Vec<_> = (1..=12).map(|failures| wait(failures, true, None, 0.5).as_millis()).collect();
        assert_eq!(waits[..4], [500, 1_000, 2_000, 4_000]);
        assert_eq!(waits[11], 300_000);
        assert_eq!(wait(u32::MAX, true, None, 0.5), LONGEST);
    }

    #[test]
    fn what_stays_wrong_is_tried_less_often() {
        assert_eq!(wait(1, false, None, 0.5), UNHURRIED);
    }

    #[test]
    fn the_brokers_advice_is_a_floor() {
        let advised = Some(Duration::from_secs(7));
        assert_eq!(wait(1, true, advised, 0.0), Duration::from_secs(7));
        assert_eq!(wait(9, true, advised, 0.5), Duration::from_secs(128));
        assert_eq!(wait(1, true, Some(Duration::from_secs(86_400)), 0.0), LONGEST);
    }

    #[test]
    fn chance_spreads_by_a_fifth() {
        assert_eq!(wait(2, true, None, 0.0), Duration::from_millis(800));
        assert_eq!(wait(2, true, None, 1.0), Duration::from_millis(1_200));
    }
}
