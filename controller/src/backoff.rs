//! When a secret that failed is tried again. Pure but for chance.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
/// Long enough to cost nothing, short enough that a mended vault needs nobody's hand.
const LONGEST: Duration = Duration::from_secs(300);
/// For what stays wrong until somebody changes something here.
const UNHURRIED: Duration = Duration::from_secs(30);
/// For what stays wrong until somebody changes something at the vault or about its access: the broker tells of that, and
/// each try would cost the vault a call.
const TOLD: Duration = Duration::from_secs(3_600);

/// What a failure waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Time alone may mend it.
    Passing,
    /// Somebody must change something in the cluster.
    Standing,
    /// Somebody must change something that the broker looks at, and tells of.
    Told,
}

/// The wait before attempt number `failures` + 1: doubled each time, never below what the broker advised, spread by
/// `chance` (0 to 1) over a fifth on either side.
pub fn wait(failures: u32, cause: Cause, advised: Option<Duration>, chance: f64) -> Duration {
    let (first, longest) = match cause {
        Cause::Passing => (FIRST, LONGEST),
        Cause::Standing => (UNHURRIED, LONGEST),
        Cause::Told => (TOLD, TOLD),
    };
    let doubled = first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let wait = doubled.min(longest).mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0));
    wait.max(advised.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes() {
        let waits: Vec<_> = (1..=12).map(|failures| wait(failures, Cause::Passing, None, 0.5).as_millis()).collect();
        assert_eq!(waits[..4], [500, 1_000, 2_000, 4_000]);
        assert_eq!(waits[11], 300_000);
        assert_eq!(wait(u32::MAX, Cause::Passing, None, 0.5), LONGEST);
    }

    #[test]
    fn what_stays_wrong_is_tried_less_often() {
        assert_eq!(wait(1, Cause::Standing, None, 0.5), UNHURRIED);
        assert_eq!(wait(9, Cause::Told, None, 0.5), TOLD);
    }

    #[test]
    fn the_brokers_advice_is_a_floor() {
        let advised = Some(Duration::from_secs(7));
        assert_eq!(wait(1, Cause::Passing, advised, 0.0), Duration::from_secs(7));
        assert_eq!(wait(9, Cause::Passing, advised, 0.5), Duration::from_secs(128));
        assert_eq!(wait(1, Cause::Passing, Some(Duration::from_secs(86_400)), 0.0), LONGEST);
    }

    #[test]
    fn chance_spreads_by_a_fifth() {
        assert_eq!(wait(2, Cause::Passing, None, 0.0), Duration::from_millis(800));
        assert_eq!(wait(2, Cause::Passing, None, 1.0), Duration::from_millis(1_200));
    }
}
