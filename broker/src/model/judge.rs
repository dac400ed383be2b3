//! Which answers are right. Knows what the vault showed and when, and nothing of how the broker works.

use tokio::time::{Duration, Instant};

use super::{
    story::OBJECTS,
    vault::{Record, View},
};

pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(60);
pub(super) const MAX_STALE: Duration = Duration::from_secs(300);
/// How long what is held counts as confirmed: an interval, a quarter of it, and five seconds.
const FRESH_FOR: Duration = Duration::from_secs(80);

/// A round that reads everything through a small budget takes at most so long.
const ROUND: Duration = Duration::from_secs(30);
/// Within this the vault is asked as usual again, after whatever went wrong: the longest pause, and the round behind it.
const SETTLES: Duration = Duration::from_secs(120);
/// For so long a refusal is remembered.
const REFUSED_FOR: Duration = Duration::from_secs(31);

/// What a caller is answered about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The value of this version, and for how long nobody has confirmed it.
    Value(u32, Duration),
    /// There is none.
    Refused,
    /// It cannot be had now.
    Outage(String),
}

/// One question and its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) answered: Instant,
}

/// The last value that somebody got.
#[derive(Clone, Copy, Debug)]
struct Seen {
    version: u32,
    at: Instant,
    /// Until then it may be served, whatever becomes of the vault.
    serves_until: Instant,
}

/// What was answered before.
pub(super) struct Judge {
    seen: [Option<Seen>; OBJECTS],
    /// The cache is too small for all: anything may have been evicted.
    tiny: bool,
}

impl Judge {
    /// Nothing was answered yet.
    pub(super) fn new(tiny: bool) -> Self {
        Self { seen: [None; OBJECTS], tiny }
    }

    /// Whether the answer about object `n` is right.
    pub(super) fn judge(&self, record: &Record, n: usize, asked: Asked, answer: &Answer) -> Result<(), String> {
        let wrong = |why: &str| {
            let views: Vec<_> = record.views[n].iter().map(|(at, view)| (asked.at.duration_since(*at), view)).collect();
            Err(format!("s{n}: {answer:?} is {why}; seen {:?}; the vault showed (ago) {views:?}", self.seen[n]))
        };
        let shown = |view: &dyn Fn(View) -> bool, before: Duration| {
            was(record, n, view, back(asked.at, before), asked.answered)
        };
        let is_refusal = |view| !matches!(view, View::Version(_));
        let held = self.held(record, n, asked);
        let calm = record.calm_since() <= back(asked.at, SETTLES);
        match answer {
            Answer::Value(version, stale) => {
                let is_it = |view| view == View::Version(*version);
                if !shown(&is_it, FRESH_FOR + MAX_STALE) {
                    return wrong("older than maxStale, or never was");
                }
                if record.calm_since() <= back(asked.at, SETTLES + POLL_INTERVAL + ROUND)
                    && !shown(&is_it, POLL_INTERVAL + ROUND)
                {
                    return wrong("not what a poll has found since");
                }
                if calm && *stale > ROUND {
                    return wrong("stale though the vault answers");
                }
                if held.is_some_and(|seen| *version < seen.version) {
                    return wrong("older than what was served before");
                }
            }
            Answer::Refused if !shown(&is_refusal, REFUSED_FOR) => return wrong("no refusal of the vault's"),
            Answer::Outage(_) if held.is_some() => return wrong("an outage of what is held"),
            // Behind a pause one call goes first, and whoever asks beside it is sent away.
            Answer::Outage(_) if calm && record.answered_since_unrest(asked.at) => {
                return wrong("an outage of a vault that answers");
            }
            Answer::Refused | Answer::Outage(_) => {}
        }
        Ok(())
    }

    /// What must be held still, because it was served before and nothing has become of it since.
    fn held(&self, record: &Record, n: usize, asked: Asked) -> Option<Seen> {
        let seen = self.seen[n].filter(|_| !self.tiny)?;
        // A refusal counts from the moment at which the vault gave it, which may be a while before it was acted on.
        let refused = was(record, n, &|view| !matches!(view, View::Version(_)), back(seen.at, ROUND), asked.answered);
        (asked.answered < seen.serves_until && !refused).then_some(seen)
    }

    /// Takes note of an answer that was right.
    pub(super) fn note(&mut self, n: usize, asked: Asked, answer: &Answer) {
        let Answer::Value(version, stale) = answer else { return };
        let serves_until = asked.at + MAX_STALE.saturating_sub(*stale);
        // Of those who asked at the same time, somebody has seen the latest.
        if self.seen[n].is_some_and(|seen| seen.at == asked.at && seen.version > *version) {
            return;
        }
        self.seen[n] = Some(Seen { version: *version, at: asked.at, serves_until });
    }

    /// It was evicted.
    pub(super) fn forget(&mut self, n: usize) {
        self.seen[n] = None;
    }

    /// No ten seconds saw more calls than the budget.
    pub(super) fn judge_calls(calls: &[Instant], budget: u32) -> Result<(), String> {
        for (place, from) in calls.iter().enumerate() {
            let within =
                calls[place..].iter().take_while(|at| at.duration_since(*from) < Duration::from_secs(10)).count();
            if within > budget as usize {
                return Err(format!("{within} calls in ten seconds with a budget of {budget}"));
            }
        }
        Ok(())
    }
}

/// Whether the vault showed such a view at any moment from `from` to `to`.
fn was(record: &Record, n: usize, view: &dyn Fn(View) -> bool, from: Instant, to: Instant) -> bool {
    let views = &record.views[n];
    let until = |place: usize| views.get(place + 1).map_or(to, |(next, _)| *next);
    views.iter().enumerate().any(|(place, (since, shown))| *since <= to && until(place) >= from && view(*shown))
}

fn back(at: Instant, by: Duration) -> Instant {
    at.checked_sub(by).unwrap_or(at)
}
