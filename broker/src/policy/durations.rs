//! Durations as manifests and flags write them: the same bounds in both.

use std::time::Duration;

/// A year: longer is surely a mistake, and sums of durations must not overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// `pollInterval`: at least one second.
pub fn poll_interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        interval if interval >= Duration::from_secs(1) => Ok(interval),
        _ => Err("at least one second".to_owned()),
    }
}

/// `maxStale`: zero for never.
pub fn max_stale(text: &str) -> Result<Duration, String> {
    duration(text)
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err("at most one year".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
