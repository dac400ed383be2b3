//! How long a request may wait for the broker's own watch to catch up with the caller's.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

/// Watches of one API server are rarely further apart; a caller who comes again costs more than one who waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// Until when: the caller's own deadline leaves time for the answer.
pub(super) fn of(metadata: &MetadataMap) -> Instant {
    let deadline = metadata.get("grpc-timeout").and_then(|value| duration(value.to_str().ok()?));
    Instant::now() + deadline.map_or(PATIENCE, |deadline| PATIENCE.min(deadline / 10 * 8))
}

/// `TimeoutValue TimeoutUnit` of gRPC over HTTP/2: at most eight digits and a letter.
fn duration(text: &str) -> Option<Duration> {
    let (value, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = value.parse().ok().filter(|_| value.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3_600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_ends_before_the_caller_s_deadline() {
        for (header, expected) in [
            (None, 2_000),
            (Some("1H"), 2_000),
            (Some("3S"), 2_000),
            (Some("1S"), 800),
            (Some("500m"), 400),
            (Some("250000u"), 200),
            (Some("0m"), 0),
            (Some("m"), 2_000),
            (Some(""), 2_000),
            (Some("123456789S"), 2_000),
            (Some("5x"), 2_000),
        ] {
            let mut metadata = MetadataMap::new();
            if let Some(header) = header {
                metadata.insert("grpc-timeout", header.parse().unwrap());
            }
            assert_eq!(of(&metadata) - Instant::now(), Duration::from_millis(expected), "{header:?}");
        }
    }
}
