//! How long to wait between tries. Pure: randomness is an argument.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// The longest wait a broker asks for. Who asks for more is as good as away.
const LONGEST_HINT: Duration = Duration::from_secs(60);

/// The wait after try number `tries` (from 1). Doubles from 100 ms to 5 s, the upper half of it by chance, so that the
/// pods of a rollout do not return in step. `hint` is what the broker asked for: never less than that, and up to a
/// quarter more. `random` is any number, uniformly distributed.
pub fn delay(tries: u32, hint: Option<Duration>, random: u32) -> Duration {
    let chance = f64::from(random) / f64::from(u32::MAX);
    let doubled = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST);
    let own = doubled / 2 + (doubled / 2).mul_f64(chance);
    let hinted = hint.map(|hint| hint.min(LONGEST_HINT)).map(|hint| hint + (hint / 4).mul_f64(chance));
    hinted.map_or(own, |hinted| hinted.max(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(tries: u32, hint: Option<u64>) -> (u128, u128) {
        let hint = hint.map(Duration::from_millis);
        (delay(tries, hint, 0).as_millis(), delay(tries, hint, u32::MAX).as_millis())
    }

    #[test]
    fn waits_double_up_to_a_bound_and_are_half_chance() {
        for (tries, expected) in [
            (1, (50, 100)),
            (2, (100, 200)),
            (3, (200, 400)),
            (6, (1_600, 3_200)),
            (7, (2_500, 5_000)),
            (u32::MAX, (2_500, 5_000)),
        ] {
            assert_eq!(bounds(tries, None), expected, "{tries}");
        }
    }

    #[test]
    fn what_the_broker_asks_for_is_the_least_and_is_bounded() {
        assert_eq!(bounds(1, Some(2_000)), (2_000, 2_500));
        assert_eq!(bounds(1, Some(0)), (50, 100));
        assert_eq!(bounds(7, Some(10)), (2_500, 5_000));
        assert_eq!(bounds(1, Some(u64::MAX)), (60_000, 75_000));
    }
}
