//! Whether a vault is to be left alone. Pure: time and chance are parameters.
//!
//! One `429` opens it for the pause that the vault asks for; a run of calls without any answer opens it too. When its
//! time is over one call goes as a probe, alone; its answer closes it or opens it for longer.

use std::time::Duration;

use tokio::time::Instant;

use super::Closed;

/// Calls in a row without an answer that open it.
const FAILURES: u32 = 5;
/// The first pause where the vault names none; it doubles each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// While somebody probes, others are told to ask again after this.
const PROBE_TAKES: Duration = Duration::from_secs(1);

/// How a call ended, as far as the vault's health goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The vault answered, with a value or a refusal.
    Given,
    /// It asked to be left alone, for so long if it said.
    Throttled {
        /// `Retry-After`
        retry_after: Option<Duration>,
    },
    /// It gave no answer that can be used.
    None,
}

/// For people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go out.
    Closed,
    /// None goes out.
    Open,
    /// One goes out at a time.
    Probing,
}

impl BreakerState {
    /// `closed`, `open` or `probing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Probing => "probing",
        }
    }
}

/// The right to a call; [`Breaker::record`] wants it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    probe: bool,
}

#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
    failures: u32,
    /// Pauses in a row.
    pauses: u32,
    throttled: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    Probing {
        since: Instant,
    },
}

impl Breaker {
    /// Whether a call may go out now.
    pub(super) fn check(&self, now: Instant) -> Result<(), Closed> {
        let retry_after = match self.state {
            State::Open { until } if now < until => until - now,
            State::Probing { .. } => PROBE_TAKES,
            State::Closed | State::Open { .. } => return Ok(()),
        };
        Err(Closed { retry_after, throttled: self.throttled })
    }

    /// Whether a call that was let out may go on.
    pub(super) fn permitted(&self, now: Instant) -> Result<(), Closed> {
        if matches!(self.state, State::Open { .. }) { self.check(now) } else { Ok(()) }
    }

    /// Lets one call out.
    pub(super) fn pass(&mut self, now: Instant) -> Result<Pass, Closed> {
        self.check(now)?;
        let probe = matches!(self.state, State::Open { .. });
        if probe {
            self.state = State::Probing { since: now };
        }
        Ok(Pass { probe })
    }

    /// The call was not made: the next one may go.
    pub(super) fn give_back(&mut self, pass: Pass) {
        if let (true, State::Probing { since }) = (pass.probe, self.state) {
            self.state = State::Open { until: since };
        }
    }

    /// How the call ended. `chance`, from 0 to 1, spreads pauses, so that many brokers do not come back together.
    pub(super) fn record(&mut self, pass: Pass, answer: Answer, now: Instant, chance: f64) {
        match answer {
            // An answer to a call from before the pause does not end it, nor does the probe's one that has begun since.
            Answer::Given if self.state == State::Closed || (pass.probe && self.is_probing()) => {
                *self = Self::default();
            }
            Answer::Given => {}
            Answer::Throttled { retry_after } => self.open(retry_after, true, now, chance),
            Answer::None => {
                self.failures = self.failures.saturating_add(1);
                let enough = self.failures >= FAILURES && self.state == State::Closed;
                if pass.probe || enough {
                    self.open(None, false, now, chance);
                }
            }
        }
    }

    /// For people.
    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { until } if now < until => BreakerState::Open,
            State::Open { .. } | State::Probing { .. } => BreakerState::Probing,
        }
    }

    fn is_probing(&self) -> bool {
        matches!(self.state, State::Probing { .. })
    }

    fn open(&mut self, asked: Option<Duration>, throttled: bool, now: Instant, chance: f64) {
        // Of calls that were under way together, the first one counts; the others may only lengthen the pause.
        let again = matches!(self.state, State::Open { until } if now < until);
        let own = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(5)).min(LONGEST_PAUSE).mul_f64(0.75 + chance / 4.0);
        // A whole second of the vault's may be a little more of ours; never come back before it asked.
        let longer = Duration::from_millis(50).mul_f64(1.0 + chance);
        // Zero, or a date gone by, is no pause at all, and yet it is throttling.
        let pause = asked.filter(|asked| !asked.is_zero()).map_or(own, |asked| asked + longer);
        let until = match self.state {
            State::Open { until } if again => until.max(now + pause),
            _ => now + pause,
        };
        if !again {
            self.pauses = self.pauses.saturating_add(1);
        }
        (self.state, self.throttled) = (State::Open { until }, throttled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn run(breaker: &mut Breaker, answer: Answer, now: Instant) {
        let pass = breaker.pass(now).unwrap();
        breaker.record(pass, answer, now, 1.0);
    }

    #[test]
    fn one_throttle_opens_it_for_as_long_as_was_asked() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        run(&mut breaker, Answer::Throttled { retry_after: Some(2 * SECOND) }, now);
        assert!(breaker.check(now + 2 * SECOND).unwrap_err().throttled, "never before it asked");
        assert_eq!(breaker.check(now + 2 * SECOND + SECOND / 5), Ok(()));
    }

    #[test]
    fn failures_open_it_only_in_a_row() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..3 {
            for _ in 1..FAILURES {
                run(&mut breaker, Answer::None, now);
            }
            run(&mut breaker, Answer::Given, now);
        }
        for _ in 0..FAILURES {
            run(&mut breaker, Answer::None, now);
        }
        assert!(!breaker.check(now).unwrap_err().throttled);
    }

    #[test]
    fn pauses_grow_while_probes_fail_and_are_forgotten_after_an_answer() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..FAILURES {
            run(&mut breaker, Answer::None, now);
        }
        for _ in 0..7 {
            let pause = breaker.check(now).unwrap_err().retry_after;
            pauses.push(pause.as_secs());
            now += pause;
            run(&mut breaker, Answer::None, now);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        now += LONGEST_PAUSE;
        run(&mut breaker, Answer::Given, now);
        run(&mut breaker, Answer::Throttled { retry_after: None }, now);
        assert_eq!(breaker.check(now).unwrap_err().retry_after.as_secs(), 1);
    }

    #[test]
    fn answers_from_before_a_pause_neither_end_it_nor_make_it_grow() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let early: Vec<_> = (0..10).map(|_| breaker.pass(now).unwrap()).collect();
        for pass in &early[..5] {
            breaker.record(*pass, Answer::Throttled { retry_after: Some(SECOND) }, now, 1.0);
        }
        for pass in &early[5..] {
            breaker.record(*pass, Answer::Given, now, 1.0);
        }
        assert_eq!(breaker.check(now).unwrap_err().retry_after.as_secs(), 1);
        assert_eq!(breaker.pauses, 1);
    }

    #[test]
    fn a_probe_s_answer_does_not_end_a_pause_that_was_asked_for_meanwhile() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let (slow, quick) = (breaker.pass(now).unwrap(), breaker.pass(now).unwrap());
        breaker.record(quick, Answer::Throttled { retry_after: Some(SECOND) }, now, 1.0);
        let later = now + 2 * SECOND;
        let probe = breaker.pass(later).unwrap();
        breaker.record(slow, Answer::Throttled { retry_after: Some(60 * SECOND) }, later, 1.0);
        breaker.record(probe, Answer::Given, later, 1.0);
        assert_eq!(breaker.check(later).map_err(|closed| closed.retry_after.as_secs()), Err(60));
    }

    #[test]
    fn a_pause_of_nothing_is_still_a_pause_and_grows() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..4 {
            run(&mut breaker, Answer::Throttled { retry_after: Some(Duration::ZERO) }, now);
            let pause = breaker.check(now).unwrap_err().retry_after;
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [1, 2, 4, 8]);
    }

    #[test]
    fn one_probe_at_a_time_and_an_abandoned_one_leaves_the_next_as_wary() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        run(&mut breaker, Answer::Throttled { retry_after: Some(SECOND) }, now);
        let later = now + 2 * SECOND;
        let probe = breaker.pass(later).unwrap();
        assert!(breaker.pass(later).is_err());
        breaker.give_back(probe);
        let next = breaker.pass(later).unwrap();
        assert!(breaker.pass(later).is_err(), "still one at a time");
        breaker.give_back(next);
        run(&mut breaker, Answer::None, later);
        assert!(breaker.pass(later).is_err(), "one failure is enough to open it again");
    }
}
