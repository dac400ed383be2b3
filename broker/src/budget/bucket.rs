//! A token bucket with classes. Pure: the time is a parameter.
//!
//! A budget is so many requests in any ten seconds, as Key Vault's own limits are stated
//! (<https://learn.microsoft.com/azure/key-vault/general/service-limits>). Half of it may be spent at once and the other
//! half comes back over ten seconds, so that no ten seconds, wherever they begin, see more than the whole.
//!
//! Of the budget it holds a [`Share`]. What is won of it is empty at first: whoever had it may just have spent it.

use std::time::Duration;

use tokio::time::Instant;

use super::share::{LENT_FOR, Share};

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

/// Without any share there is nothing to wait for but another one.
const NOTHING_YET: Duration = Duration::from_millis(100);

/// What a bucket holds.
#[derive(Debug)]
pub(super) struct Bucket {
    budget: u32,
    share: Share,
    /// When what others lend runs out.
    lent_until: Option<Instant>,
    capacity: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// For `share` of `budget` requests in ten seconds; as full as it would be, had it been there since the share is.
    pub(super) fn new(budget: u32, share: Share, now: Instant) -> Self {
        let mut bucket = Self { budget, share, lent_until: None, capacity: 0.0, level: 0.0, at: now };
        bucket.capacity = bucket.share_of_budget();
        bucket.lend_until(now);
        let filling = share.since.map_or(1.0, |since| now.saturating_duration_since(since).as_secs_f64() / 10.0);
        bucket.level = bucket.capacity * filling.min(1.0);
        bucket
    }

    /// Another budget; what is spent stays spent.
    pub(super) fn set_budget(&mut self, budget: u32, now: Instant) {
        self.fill(now);
        self.budget = budget;
        let capacity = self.share_of_budget();
        self.level = (self.level + capacity - self.capacity).min(capacity);
        self.capacity = capacity;
    }

    /// Another share.
    pub(super) fn set_share(&mut self, share: Share, now: Instant) {
        self.fill(now);
        self.share = share;
        self.lend_until(now);
        self.resize();
    }

    /// What others lend, if it has not run out, they lend for a while longer.
    pub(super) fn lend_on(&mut self, now: Instant) {
        self.fill(now);
        self.lend_until(now);
    }

    fn lend_until(&mut self, now: Instant) {
        self.lent_until = (self.share.lent > 0).then_some(now + LENT_FOR);
    }

    fn share_of_budget(&self) -> f64 {
        self.share.of_budget(self.budget) / 2.0
    }

    /// Nothing comes to it by a move, and what it has still to spend is the last to go: all replicas together never have more
    /// than before, and a share that goes to and fro leaves no debt behind.
    fn resize(&mut self) {
        self.capacity = self.share_of_budget();
        self.level = self.level.min(self.capacity);
    }

    /// Takes `cost` requests for a caller of `class` who has `waited` so long, or says when to ask again.
    pub(super) fn take(&mut self, class: Class, cost: u32, waited: Duration, now: Instant) -> Result<(), Duration> {
        self.fill(now);
        if self.capacity <= 0.0 {
            return Err(NOTHING_YET);
        }
        let cost = f64::from(cost);
        let reserve = if waited >= PATIENCE { 0.0 } else { self.capacity * class.reserve() };
        // A small bucket may never hold both; then the cost alone counts.
        let needed = (reserve + cost).min(self.capacity).max(cost.min(self.capacity));
        if self.level >= needed {
            self.level -= cost;
            return Ok(());
        }
        let filled = Duration::from_secs_f64((needed - self.level) / self.per_second());
        let patience = PATIENCE.checked_sub(waited).filter(|_| reserve > 0.0);
        // Never zero: rounding must not make a busy loop.
        Err(patience.map_or(filled, |patience| filled.min(patience)).max(Duration::from_millis(1)))
    }

    /// `count` requests were sent without asking.
    pub(super) fn debit(&mut self, count: u32, now: Instant) {
        self.fill(now);
        self.level -= f64::from(count);
    }

    /// The share as it was set last.
    pub(super) fn share(&self) -> Share {
        self.share
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

    fn per_second(&self) -> f64 {
        self.capacity / 10.0
    }

    fn fill(&mut self, now: Instant) {
        if let Some(until) = self.lent_until.take_if(|until| *until < now) {
            self.fill_to(until);
            self.share = self.share.unaided();
            self.resize();
        }
        self.fill_to(now);
    }

    fn fill_to(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second()).min(self.capacity);
        self.at = self.at.max(now);
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
        let mut bucket = Bucket::new(200, Share::WHOLE, now);
        assert_eq!(spend(&mut bucket, Class::Background, now), 50);
        assert_eq!(spend(&mut bucket, Class::ChangeCheck, now), 25);
        assert_eq!(spend(&mut bucket, Class::PodStart, now), 25);
        assert_eq!(bucket.left(now), 0);
    }

    #[test]
    fn the_wait_it_names_is_the_wait_it_takes() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(200, Share::WHOLE, now);
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
        let mut bucket = Bucket::new(200, Share::WHOLE, now);
        spend(&mut bucket, Class::ChangeCheck, now);
        assert!(bucket.take(Class::Background, 1, Duration::ZERO, now).is_err());
        assert!(bucket.take(Class::Background, 1, PATIENCE, now).is_ok());
    }

    #[test]
    fn a_cost_above_a_small_bucket_is_paid_from_a_full_one() {
        let now = Instant::now();
        let mut bucket = Bucket::new(2, Share::WHOLE, now);
        assert!(bucket.take(Class::Background, 2, Duration::ZERO, now).is_ok());
        let wait = bucket.take(Class::Background, 2, Duration::ZERO, now).unwrap_err();
        assert!(wait <= PATIENCE * 2, "{wait:?}");
    }

    #[test]
    fn debts_and_a_smaller_budget_are_kept() {
        let now = Instant::now();
        let mut bucket = Bucket::new(200, Share::WHOLE, now);
        bucket.debit(90, now);
        bucket.set_budget(100, now);
        assert_eq!((bucket.left(now), bucket.capacity()), (0, 50));
        assert_eq!(bucket.left(now + Duration::from_secs(60)), 50);
    }

    fn part(parts: u32, of: u32) -> Share {
        Share { own: parts > 0, lent: parts.saturating_sub(1), of, since: None }
    }

    #[test]
    fn a_share_is_spent_like_a_budget_of_its_own() {
        let now = Instant::now();
        for (parts, of, expected) in
            [(1, 1, 150), (3, 3, 150), (1, 3, 50), (2, 3, 100), (1, 100, 1), (0, 3, 0), (4, 3, 150)]
        {
            let mut bucket = Bucket::new(300, part(parts, of), now);
            assert_eq!(spend(&mut bucket, Class::PodStart, now), expected, "{parts} of {of}");
        }
    }

    #[test]
    fn a_share_that_is_won_is_empty_at_first_and_one_that_is_lost_takes_what_it_has_with_it() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(300, part(1, 3), now);
        assert_eq!(spend(&mut bucket, Class::PodStart, now), 50);
        bucket.set_share(part(3, 3), now);
        assert_eq!((bucket.left(now), bucket.capacity()), (0, 150));
        for _ in 0..20 {
            now += Duration::from_millis(500);
            bucket.lend_on(now);
        }
        assert_eq!(spend(&mut bucket, Class::PodStart, now), 150, "ten seconds fill it");
        bucket.set_share(part(1, 3), now);
        bucket.set_share(part(3, 3), now);
        assert_eq!(bucket.left(now), 0, "to and fro gives nothing");
    }

    #[test]
    fn a_share_that_goes_to_and_fro_leaves_no_debt() {
        let now = Instant::now();
        let mut bucket = Bucket::new(200, part(1, 1), now);
        for _ in 0..20 {
            bucket.set_share(part(0, 1), now);
            bucket.set_share(part(1, 1), now);
        }
        assert_eq!(bucket.left(now), 0, "nothing comes to it by a move");
        let filled = now + Duration::from_secs(5);
        assert_eq!(bucket.left(filled), 50);
    }

    #[test]
    fn with_no_share_nothing_is_spent_and_it_is_asked_again_soon() {
        let now = Instant::now();
        let mut bucket = Bucket::new(300, part(0, 3), now);
        assert_eq!(bucket.take(Class::PodStart, 1, PATIENCE, now), Err(NOTHING_YET));
        bucket.set_share(part(1, 3), now);
        let wait = bucket.take(Class::PodStart, 1, Duration::ZERO, now).unwrap_err();
        assert_eq!(bucket.take(Class::PodStart, 1, Duration::ZERO, now + wait + Duration::from_micros(1)), Ok(()));
    }

    #[test]
    fn what_is_lent_runs_out_where_nobody_lends_it_again() {
        let now = Instant::now();
        let mut bucket = Bucket::new(300, Share { own: false, lent: 3, of: 3, since: None }, now);
        assert_eq!(bucket.left(now + LENT_FOR), 150);
        let late = now + LENT_FOR + Duration::from_millis(1);
        assert_eq!(bucket.left(late), 0);
        bucket.lend_on(late);
        assert_eq!(bucket.left(late + LENT_FOR), 0, "what has run out is not lent on, but anew");
        let mut bucket = Bucket::new(300, part(3, 3), now);
        spend(&mut bucket, Class::PodStart, now);
        // Whoever sleeps for an hour finds its own third.
        assert_eq!(bucket.left(now + Duration::from_secs(3_600)), 50);
    }

    #[test]
    fn a_bucket_that_is_made_late_is_as_full_as_an_older_one_would_be() {
        let now = Instant::now();
        for (seconds, expected) in [(0, 0), (2, 30), (10, 150), (60, 150)] {
            let since = Some(now);
            let mut bucket = Bucket::new(300, Share { since, ..Share::WHOLE }, now + Duration::from_secs(seconds));
            assert_eq!(bucket.left(now + Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }
}
