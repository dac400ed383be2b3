//! Durations as they are told, on the wire and in audit lines.

use std::time::Duration;

/// Whole ones.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
