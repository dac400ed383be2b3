//! Who was given its values: one process for each start of a container. Pure; the time is the caller's.
//!
//! A record is made when values are about to be handed out, so a vault that does not answer uses nothing up. It is kept for
//! [`KEPT`]: by then its start shows in the pod's own status as one that is over ([`super::start::LAUNCHING`]), so what is
//! forgotten, or was lost with a broker, opens a token for that long at most and not for the pod's life.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    nonce::Nonce,
    start::{Shown, Start, unix},
};

/// For how long the same process may ask again: its reply may have been lost on the way.
const REPEATS: Duration = Duration::from_secs(60);

/// How long a process has waited for its restart to show before it is one that never was: far longer than any status lags.
const CERTAIN: Duration = Duration::from_secs(60);

/// For how long a record is kept. Longer than a start is young, also where a node's clock is ahead by most of an hour.
pub const KEPT: Duration = Duration::from_secs(2 * 3_600);

/// Records at most, about 300 bytes each. The oldest make room.
const MOST: usize = 100_000;

/// Processes of one container whose waiting is remembered.
const WAITING: usize = 4;

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The pod's.
    pub pod_uid: String,
    /// Its name.
    pub container: String,
}

/// What is to be handed out: to whom, and what its pod shows.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// Which container it says to be.
    pub key: Arc<Key>,
    /// Which process.
    pub nonce: Nonce,
    /// The container's latest start, as the pod shows it.
    pub shown: Shown,
}

/// Whether it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may, and that is recorded.
    Granted(Grant),
    /// This start's values are gone, or it is too late for them. It may be a restart that does not show yet: ask again once a
    /// start is shown that is newer than this one.
    Wait(Start),
    /// This start's values are gone, and nothing can come that would change it.
    Replayed,
}

/// Why values may be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Nothing was before.
    First,
    /// The same, but for a start that is older than these records: one of it may have been lost.
    Unrecorded,
    /// To the same process, a moment ago.
    Repeated,
    /// For an earlier start.
    Restarted,
}

/// A record as it goes from one replica to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// Whose.
    pub key: Arc<Key>,
    /// Who was given the values; `None` where the start was over before anything was recorded of it.
    pub nonce: Option<Nonce>,
    /// For which start.
    pub start: Start,
    /// How long ago.
    pub age: Duration,
}

/// The time, by two clocks: ages must not depend on one that is set.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Of this process.
    pub instant: Instant,
    /// Of the world.
    pub wall: SystemTime,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }
}

#[derive(Debug)]
struct Record {
    start: Start,
    /// `None` where the start was over before anything was recorded of it.
    nonce: Option<Nonce>,
    since: Instant,
    /// Others that asked, and since when.
    waiting: Vec<(Nonce, Instant)>,
}

/// The records.
#[derive(Debug)]
pub struct Ledger {
    records: HashMap<Arc<Key>, Record>,
    /// When each record was made, in the order in which they came here; also of records that a newer one has replaced.
    made: VecDeque<(Instant, Arc<Key>)>,
    most: usize,
    /// Starts that began before then may have been recorded elsewhere, or were pushed out.
    complete_since: i64,
    pushed_out: u64,
}

impl Ledger {
    /// One that knows of nothing before `now`.
    pub fn new(now: Moment) -> Self {
        Self::bounded(now, MOST)
    }

    fn bounded(now: Moment, most: usize) -> Self {
        let (records, made) = (HashMap::new(), VecDeque::new());
        Self { records, made, most, complete_since: unix(now.wall), pushed_out: 0 }
    }

    /// Decides, and records what is granted.
    pub fn redeem(&mut self, redemption: &Redemption, now: Moment) -> Verdict {
        self.forget_old(now.instant);
        let Redemption { key, nonce, shown } = redemption;
        let Some(record) = self.records.get_mut(key) else { return self.first(redemption, now) };
        if record.nonce.as_ref() == Some(nonce) {
            let lost = now.instant.saturating_duration_since(record.since) <= REPEATS;
            return if lost { Verdict::Granted(Grant::Repeated) } else { Verdict::Replayed };
        }
        if shown.start.is_newer_than(record.start) {
            self.record(redemption, Some(nonce.clone()), now);
            return Verdict::Granted(Grant::Restarted);
        }
        let waited = now.instant.saturating_duration_since(record.waiting_since(nonce, now.instant));
        if shown.is_running && waited >= CERTAIN { Verdict::Replayed } else { Verdict::Wait(record.start) }
    }

    /// All of them, for those who own their pods from now on. They stay here too: what comes back is known again.
    pub fn hand_over(&self, now: Instant) -> Vec<Handed> {
        let handed = |(key, record): (&Arc<Key>, &Record)| Handed {
            key: Arc::clone(key),
            nonce: record.nonce.clone(),
            start: record.start,
            age: now.saturating_duration_since(record.since),
        };
        self.records.iter().map(handed).collect()
    }

    /// Takes over what another replica has recorded. Of two records of a container the one of the newer start holds, and of one
    /// start's the earlier one.
    pub fn take_over(&mut self, handed: Vec<Handed>, now: Moment) {
        for Handed { key, nonce, start, age } in handed.into_iter().filter(|handed| handed.age < KEPT) {
            let since = now.instant.checked_sub(age).unwrap_or(now.instant);
            let holds = self.records.get(&key).is_some_and(|known| {
                known.start.is_newer_than(start) || (!start.is_newer_than(known.start) && known.since <= since)
            });
            if !holds {
                self.keep(key, Record { start, nonce, since, waiting: Vec::new() }, now);
            }
        }
    }

    /// Somebody else's records may have been lost: starts that began before `now` may be among them.
    pub fn doubt(&mut self, now: Moment) {
        self.complete_since = unix(now.wall);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many had to go before their time.
    pub fn pushed_out(&self) -> u64 {
        self.pushed_out
    }

    fn first(&mut self, redemption: &Redemption, now: Moment) -> Verdict {
        let Redemption { nonce, shown, .. } = redemption;
        if shown.is_over {
            // Whoever launched then was given its values, or gave up. Only a restart can be asking, and it will show.
            self.record(redemption, None, now);
            return self.redeem(redemption, now);
        }
        self.record(redemption, Some(nonce.clone()), now);
        let is_older = shown.start.began.is_some_and(|began| began < self.complete_since);
        Verdict::Granted(if is_older { Grant::Unrecorded } else { Grant::First })
    }

    fn record(&mut self, redemption: &Redemption, nonce: Option<Nonce>, now: Moment) {
        let Redemption { key, shown, .. } = redemption;
        let record = Record { start: shown.start, nonce, since: now.instant, waiting: Vec::new() };
        self.keep(Arc::clone(key), record, now);
    }

    fn keep(&mut self, key: Arc<Key>, record: Record, now: Moment) {
        self.made.push_back((record.since, Arc::clone(&key)));
        self.records.insert(key, record);
        while self.made.len() > self.most {
            if self.forget_oldest() {
                self.pushed_out += 1;
                self.doubt(now);
            }
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while self.made.front().is_some_and(|(made, _)| now.saturating_duration_since(*made) >= KEPT) {
            self.forget_oldest();
        }
    }

    /// True if that was the latest record of its container.
    fn forget_oldest(&mut self) -> bool {
        let Some((made, key)) = self.made.pop_front() else { return false };
        let is_latest = self.records.get(&key).is_some_and(|record| record.since == made);
        if is_latest {
            self.records.remove(&key);
        }
        is_latest
    }
}

impl Record {
    /// Since when this process has been asking in vain. Of many the earliest are remembered no more, and wait on.
    fn waiting_since(&mut self, nonce: &Nonce, now: Instant) -> Instant {
        if let Some((_, since)) = self.waiting.iter().find(|(known, _)| known == nonce) {
            return *since;
        }
        if self.waiting.len() == WAITING {
            self.waiting.remove(0);
        }
        self.waiting.push((nonce.clone(), now));
        now
    }
}

#[cfg(test)]
mod tests;
