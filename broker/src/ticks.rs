//! Instants as numbers, for other processes: they can compare those of this one with each other, and with nothing else.

use std::{sync::LazyLock, time::Duration};

use tokio::time::Instant;

/// What is counted from. Another process counts from another moment.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Microseconds; negative before the first one was counted.
pub(crate) fn ticks(instant: Instant) -> i64 {
    let began = *BEGAN;
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    match instant.checked_duration_since(began) {
        Some(after) => micros(after),
        None => -micros(began - instant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_order_is_that_of_time_also_before_the_first() {
        let now = Instant::now();
        let times = [now.checked_sub(Duration::from_secs(5)).unwrap(), now, now + Duration::from_micros(1)];
        assert!(times.map(ticks).is_sorted_by(|one, other| one < other), "{:?}", times.map(ticks));
    }
}
