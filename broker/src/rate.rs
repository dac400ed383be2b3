//! How often one identity may ask: a token bucket for each, in bounded memory. Pure but for its map; the clock is the
//! caller's. The gRPC edge asks it before anything costs something.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Identities that are counted at once. One that has not asked for a while takes no place.
const MAX_COUNTED: usize = 100_000;

/// What one identity is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, on average.
    pub per_second: u32,
    /// Requests at once, after a rest.
    pub burst: u32,
}

impl Rate {
    /// So many requests a second on average, and twice as many at once.
    pub fn of_a_pod(per_second: u32) -> Self {
        Self { per_second, burst: per_second.saturating_mul(2) }
    }

    /// So many requests a second on average, and four times as many at once: room for a controller that has just started
    /// with thousands of secrets, and an end to one that is caught in a loop.
    pub fn of_a_role(per_second: u32) -> Self {
        Self { per_second, burst: per_second.saturating_mul(4) }
    }

    fn every(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }

    /// One request at `now`, by the instant until which earlier ones have spent their share. Returns that instant moved
    /// on, or how long to wait.
    fn take(self, spent_until: Instant, now: Instant) -> Result<Instant, Duration> {
        let after = spent_until.max(now) + self.every();
        let allowed = self.every() * self.burst.max(1);
        match (after - now).checked_sub(allowed) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(after),
        }
    }
}

/// Counts the requests of each identity.
#[derive(Debug)]
pub struct Limiter<K> {
    rate: Rate,
    max_counted: usize,
    counted: Mutex<Counted<K>>,
}

#[derive(Debug)]
struct Counted<K> {
    spent_until: HashMap<K, Instant>,
    /// Not before then is it worth looking again for who may be forgotten.
    sweep_after: Option<Instant>,
}

impl<K: Eq + Hash> Limiter<K> {
    /// Grants each identity `rate`.
    pub fn new(rate: Rate) -> Self {
        Self::bounded(rate, MAX_COUNTED)
    }

    fn bounded(rate: Rate, max_counted: usize) -> Self {
        let counted = Mutex::new(Counted { spent_until: HashMap::new(), sweep_after: None });
        Self { rate, max_counted, counted }
    }

    /// Takes one request of `identity`, or says how long it is to wait. While more identities ask at once than are
    /// counted, those that are not counted yet wait.
    pub fn take<Q>(&self, identity: &Q, now: Instant) -> Result<(), Duration>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spent_until) = counted.spent_until.get_mut(identity) {
            *spent_until = self.rate.take(*spent_until, now)?;
            return Ok(());
        }
        if counted.spent_until.len() >= self.max_counted {
            counted.sweep(now, self.rate.every());
        }
        if counted.spent_until.len() >= self.max_counted {
            return Err(self.rate.every());
        }
        counted.spent_until.insert(identity.to_owned(), now + self.rate.every());
        Ok(())
    }
}

impl<K: Eq + Hash> Limiter<K> {
    /// Whether [`Self::take`] would take one, without taking it; else how long `identity` is to wait.
    pub fn may<Q>(&self, identity: &Q, now: Instant) -> Result<(), Duration>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let spent_until = counted.spent_until.get(identity).copied();
        spent_until.map_or(Ok(()), |spent_until| self.rate.take(spent_until, now).map(drop))
    }
}

impl<K: Eq + Hash> Counted<K> {
    /// Forgets who has its whole share back: to know it and not to know it is the same. Not at every request, which
    /// would make a full map slow.
    fn sweep(&mut self, now: Instant, every: Duration) {
        if self.sweep_after.is_none_or(|after| now >= after) {
            self.spent_until.retain(|_, spent_until| *spent_until > now);
            self.sweep_after = Some(now + every);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let (limiter, start) = (Limiter::<String>::new(RATE), Instant::now());
        for (at_ms, expected) in [
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, Err(100)),
            (40, Err(60)),
            (100, Ok(())),
            (100, Err(100)),
            (199, Err(1)),
            (200, Ok(())),
            (1_000, Ok(())),
            (1_000, Ok(())),
            (1_000, Ok(())),
            (1_000, Err(100)),
        ] {
            let taken = limiter.take("pod", start + Duration::from_millis(at_ms));
            assert_eq!(taken, expected.map_err(Duration::from_millis), "at {at_ms} ms");
        }
    }

    #[test]
    fn one_identity_costs_no_other() {
        let (limiter, now) = (Limiter::<String>::new(RATE), Instant::now());
        while limiter.take("loud", now).is_ok() {}
        assert_eq!(limiter.take("quiet", now), Ok(()));
    }

    #[test]
    fn to_ask_whether_one_may_takes_nothing() {
        let (limiter, now) = (Limiter::<String>::new(RATE), Instant::now());
        for _ in 0..100 {
            assert_eq!(limiter.may("pod", now), Ok(()));
        }
        while limiter.take("pod", now).is_ok() {}
        assert_eq!(limiter.may("pod", now), Err(Duration::from_millis(100)));
        assert_eq!(limiter.may("pod", now + Duration::from_millis(100)), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_who_rests_gives_its_place_away() {
        let (limiter, start) = (Limiter::<String>::bounded(RATE, 100), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for n in 0..100 {
            assert_eq!(limiter.take(&format!("pod-{n}")[..], at(0)), Ok(()));
        }
        assert!(limiter.take("late", at(50)).is_err(), "no place is free yet");
        assert_eq!(limiter.take("pod-7", at(50)), Ok(()), "who is counted is not disturbed");
        assert_eq!(limiter.take("late", at(150)), Ok(()));
        assert!(limiter.counted.lock().unwrap().spent_until.len() <= 2);
    }

    #[test]
    fn a_clock_that_seems_to_go_back_grants_nothing_more() {
        let (limiter, start) = (Limiter::<String>::new(RATE), Instant::now() + Duration::from_secs(10));
        while limiter.take("pod", start).is_ok() {}
        assert!(limiter.take("pod", start.checked_sub(Duration::from_secs(5)).unwrap()).is_err());
    }
}
