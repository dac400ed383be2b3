//! What there was of the traffic, and what of it failed.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::ensure;

/// How often each was done.
#[derive(Debug, Default)]
pub struct Seen {
    /// Values resolved by one call over a connection of its own.
    pub calls: Count,
    /// Programs started by the launcher, which may try again.
    pub launches: Count,
    /// Pods created, which then ran to their end.
    pub pods: Count,
    /// From the start to the end.
    pub took: Duration,
}

/// How often something was done, and why it was not.
#[derive(Debug, Default)]
pub struct Count {
    /// How often it was.
    pub done: u64,
    /// Why not, how often, and when first, counted from the start.
    pub failed: BTreeMap<String, (u64, Duration)>,
    /// The longest that one took.
    pub longest: Duration,
}

impl Count {
    /// One more.
    pub fn note(&mut self, outcome: Result<(), String>, took: Duration, when: Duration) {
        self.longest = self.longest.max(took);
        match outcome {
            Ok(()) => self.done += 1,
            Err(why) => self.failed.entry(why).or_insert((0, when)).0 += 1,
        }
    }

    fn add(&mut self, other: Self) {
        self.done += other.done;
        self.longest = self.longest.max(other.longest);
        for (why, (count, when)) in other.failed {
            let failed = self.failed.entry(why).or_insert((0, when));
            *failed = (failed.0 + count, failed.1.min(when));
        }
    }

    fn failures(&self) -> u64 {
        self.failed.values().map(|(count, _)| count).sum()
    }

    fn check(&self, what: &str) -> anyhow::Result<()> {
        ensure!(self.done > 0, "no {what} at all");
        ensure!(self.failed.is_empty(), "{} of {} {what} failed: {:?}", self.failures(), self.all(), self.failed);
        Ok(())
    }

    fn all(&self) -> u64 {
        self.done + self.failures()
    }
}

impl Seen {
    /// The sum of both.
    pub fn add(&mut self, other: Self) {
        self.calls.add(other.calls);
        self.launches.add(other.launches);
        self.pods.add(other.pods);
    }

    /// An error unless there was some of each, and nothing failed.
    pub fn nothing_failed(&self) -> anyhow::Result<()> {
        self.calls.check("calls")?;
        self.launches.check("launches")?;
        self.pods.check("pods")
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, launches, pods, took } = self;
        write!(
            f,
            "in {:.0} s {} of {} calls failed (longest {} ms), {} of {} launches, {} of {} pods (longest {:.1} s)",
            took.as_secs_f32(),
            calls.failures(),
            calls.all(),
            calls.longest.as_millis(),
            launches.failures(),
            launches.all(),
            pods.failures(),
            pods.all(),
            pods.longest.as_secs_f32(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_counted_by_its_reason_and_where_it_began() {
        let second = Duration::from_secs(1);
        let (mut seen, mut other) = (Seen::default(), Seen::default());
        seen.calls.note(Ok(()), second, second);
        seen.calls.note(Err("gone".to_owned()), second, 3 * second);
        other.calls.note(Err("gone".to_owned()), second, 2 * second);
        seen.add(other);
        let error = seen.nothing_failed().unwrap_err().to_string();
        assert_eq!(error, "2 of 3 calls failed: {\"gone\": (2, 2s)}");
    }

    #[test]
    fn where_nothing_was_tried_nothing_is_proven() {
        let mut seen = Seen::default();
        seen.calls.note(Ok(()), Duration::ZERO, Duration::ZERO);
        assert_eq!(seen.nothing_failed().unwrap_err().to_string(), "no launches at all");
    }
}
