//! A token bucket with classes. Pure: the time is a parameter.
//!
//! A budget is so many requests in any ten seconds, as Key Vault's own limits are stated
//! (<https://learn.microsoft.com/azure/key-vault/general/service-limits>). Half of it may be spent at once and the other
//! half comes back over ten seconds, so that no ten seconds, wherever they begin, see more than the whole.

use std::time::Duration;

use tokio::time::Instant;

/// Who asks, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Somebody waits for the value.
    PodStart,
    /// A version may have changed.
    ChangeCheck,
    /// Nothing hints at a change.
    Background,
}

impl Class {
    /// Each.
    pub const ALL: [Self; 3] = [Self::PodStart, Self::ChangeCheck, Self::Background];

    /// The share of the bucket left to more urgent classes.
    fn reserve(self) -> f64 {
        match self {
            Self::PodStart => 0.0,
            Self::ChangeCheck => 0.25,
            Self::Background => 0.5,
        }
    }
}

/// After so long in line a caller takes what there is: urgent callers may delay others, not starve them.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What a bucket holds.
#[derive(Debug)]
pub(super) struct Bucket {
    capacity: f64,
    per_second: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// Full, for `budget` requests in ten seconds.
    pub(super) fn new(budget: u32, now: Instant) -> Self {
        let capacity = f64::from(budget) / 2.0;
        Self { capacity, per_second: capacity / 10.0, level: capacity, at: now }
    }

    /// Another budget; what is spent stays spent.
    pub(super) fn resize(&mut self, budget: u32, now: Instant) {
        self.fill(now);
        let resized = Self::new(budget, now);
        self.level = (self.level - self.capacity + resized.capacity).min(resized.capacity);
        (self.capacity, self.per_second) = (resized.capacity, resized.per_second);
    }

    /// Takes `cost` requests for a caller of `class` who has `waited` so long, or says when to ask again.
    pub(super) fn take(&mut self, class: Class, cost: u32, waited: Duration, now: Instant) -> Result<(), Duration> {
        self.fill(now);
        let cost = f64::from(cost);
        let reserve = if waited >= PATIENCE { 0.0 } else { self.capacity * class.reserve() };
        // A small bucket may never hold both; then the cost alone counts.
        let needed = (reserve + cost).min(self.capacity).max(cost.min(self.capacity));
        if self.level >= needed {
            self.level -= cost;
            return Ok(());
        }
        let filled = Duration::from_secs_f64((needed - self.level) / self.per_second);
        let patience = PATIENCE.checked_sub(waited).filter(|_| reserve > 0.0);
        // Never zero: rounding must not make a busy loop.
        Err(patience.map_or(filled, |patience| filled.min(patience)).max(Duration::from_millis(1)))
    }

    /// `count` requests were sent without asking.
    pub(super) fn debit(&mut self, count: u32, now: Instant) {
        self.fill(now);
        self.level -= f64::from(count);
    }

    /// Whole requests left.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative here, never above a u32"
    )]
    pub(super) fn left(&mut self, now: Instant) -> u32 {
        self.fill(now);
        self.level.max(0.0) as u32
    }

    /// Whole requests at most.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "half of a u32")]
    pub(super) fn capacity(&self) -> u32 {
        self.capacity as u32
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.capacity);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(bucket: &mut Bucket, class: Class, now: Instant) -> u32 {
        let mut spent = 0;
        while bucket.take(class, 1, Duration::ZERO, now).is_ok() {
            spent += 1;
        }
        spent
    }

    #[test]
    fn each_class_leaves_the_more_urgent_ones_their_share() {
        let now = Instant::now();
        let mut bucket = Bucket::new(200, now);
        assert_eq!(spend(&mut bucket, Class::Background, now), 50);
        assert_eq!(spend(&mut bucket, Class::ChangeCheck, now), 25);
        assert_eq!(spend(&mut bucket, Class::PodStart, now), 25);
        assert_eq!(bucket.left(now), 0);
    }

    #[test]
    fn the_wait_it_names_is_the_wait_it_takes() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(200, now);
        spend(&mut bucket, Class::PodStart, now);
        for class in [Class::PodStart, Class::ChangeCheck] {
            let wait = bucket.take(class, 1, Duration::ZERO, now).unwrap_err();
            now += wait + Duration::from_micros(1);
            assert_eq!(bucket.take(class, 1, Duration::ZERO, now), Ok(()), "{class:?} after {wait:?}");
        }
    }

    #[test]
    fn who_waited_long_enough_is_not_starved() {
        let now = Instant::now();
        let mut bucket = Bucket::new(200, now);
        spend(&mut bucket, Class::ChangeCheck, now);
        assert!(bucket.take(Class::Background, 1, Duration::ZERO, now).is_err());
        assert!(bucket.take(Class::Background, 1, PATIENCE, now).is_ok());
    }

    #[test]
    fn a_cost_above_a_small_bucket_is_paid_from_a_full_one() {
        let now = Instant::now();
        let mut bucket = Bucket::new(2, now);
        assert!(bucket.take(Class::Background, 2, Duration::ZERO, now).is_ok());
        let wait = bucket.take(Class::Background, 2, Duration::ZERO, now).unwrap_err();
        assert!(wait <= PATIENCE * 2, "{wait:?}");
    }

    #[test]
    fn debts_and_a_smaller_budget_are_kept() {
        let now = Instant::now();
        let mut bucket = Bucket::new(200, now);
        bucket.debit(90, now);
        bucket.resize(100, now);
        assert_eq!((bucket.left(now), bucket.capacity()), (0, 50));
        assert_eq!(bucket.left(now + Duration::from_secs(60)), 50);
    }
}
