//! Durations as people read them.

use std::time::Duration;

/// So many of a hundred took no longer; nothing of none.
pub fn percentile(times: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied()
}

/// `12.3 ms`, or `-` of none.
pub fn milliseconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured_in_any_order() {
        let times: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        for (percent, expected) in [(50, 100), (99, 198), (100, 200), (0, 1)] {
            assert_eq!(percentile(&times, percent), Some(Duration::from_millis(expected)), "{percent}");
        }
        assert_eq!(percentile(&[], 50), None);
        assert_eq!((milliseconds(percentile(&times, 50)), milliseconds(None)), ("100.0 ms".into(), "-".into()));
    }
}
