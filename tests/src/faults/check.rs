//! What must hold of a history, whatever happened: pure. The tests below prove that it can fail.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::{Duration, Instant},
};

use tonic::Code;

use super::history::{Client, Events, Failure, Read};

/// What is promised beside what always holds.
#[derive(Clone, Debug, Default)]
pub struct Promises {
    /// Replicas could not hear each other for a while: a client that moves between them may meet an older value. On each
    /// replica nothing goes back all the same.
    pub split: bool,
    /// The refusals that a client may be left with.
    pub refusals: Vec<Code>,
    /// From when until when every try is answered with values.
    pub served: Vec<(Instant, Instant)>,
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// A value that is not of the object asked for, or not one that had been written.
    Wrong {
        /// Who got it.
        client: Client,
        /// Of which object it was to be.
        object: usize,
    },
    /// A value under a version that is not its own.
    Version {
        /// Of which object.
        object: usize,
        /// The write's number.
        number: u64,
    },
    /// A client got an older value than it had had.
    Back {
        /// Who.
        client: Client,
        /// Of which object.
        object: usize,
        /// What it had, and what it got then: numbers of writes.
        numbers: (u64, u64),
        /// From which replicas.
        replicas: (usize, usize),
    },
    /// A replica gave an older value than it had given to anybody.
    ReplicaBack {
        /// Which.
        replica: usize,
        /// Of which object.
        object: usize,
        /// Numbers of writes.
        numbers: (u64, u64),
    },
    /// A client was left with a refusal that is none of those to be expected.
    Refused {
        /// Who.
        client: Client,
        /// What it was told; nothing where its time was over.
        code: Option<Code>,
        /// The reason.
        reason: String,
    },
    /// A try without values at a time in which each is answered.
    NotServed {
        /// Who.
        client: Client,
        /// At which replica.
        replica: usize,
        /// The reason.
        reason: String,
    },
    /// Somebody got a value who may have none.
    Leaked {
        /// Who asked how.
        caller: String,
    },
    /// A vault was asked more often than its budget allows.
    OverBudget {
        /// Which.
        vault: String,
        /// Calls within the time that a budget is for.
        calls: usize,
        /// What is allowed.
        budget: usize,
    },
    /// After the trouble, not everybody had the latest values in time.
    Late {
        /// Within what it was to be.
        bound: Duration,
        /// Who did not.
        who: String,
    },
    /// A program ended, or said what it must not.
    Program {
        /// What became of it.
        what: String,
    },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong { client, object } => write!(f, "client {} got a wrong value of object {object}", client.0),
            Self::Version { object, number } => {
                write!(f, "write {number} of object {object} came under another version than its own")
            }
            Self::Back { client, object, numbers: (had, got), replicas: (one, other) } => {
                write!(f, "client {}: object {object} went back from {had} (replica {one}) to {got} ", client.0)?;
                write!(f, "(replica {other})")
            }
            Self::ReplicaBack { replica, object, numbers: (gave, gives) } => {
                write!(f, "replica {replica}: object {object} went back from {gave} to {gives}")
            }
            Self::Refused { client, code, reason } => {
                write!(f, "client {} was left with {code:?}: {reason}", client.0)
            }
            Self::NotServed { client, replica, reason } => {
                write!(f, "client {} was not served from memory by replica {replica}: {reason}", client.0)
            }
            Self::Leaked { caller } => write!(f, "a value for {caller}"),
            Self::OverBudget { vault, calls, budget } => {
                write!(f, "{calls} calls to {vault} in ten seconds, budget {budget}")
            }
            Self::Late { bound, who } => write!(f, "not everybody had the latest values within {bound:?}: {who}"),
            Self::Program { what } => f.write_str(what),
        }
    }
}

/// Everything that does not hold, in no order.
pub fn breaches(events: &Events, promises: &Promises) -> Vec<Breach> {
    let mut found = Vec::new();
    found.extend(wrong(events));
    found.extend(back(&events.reads, promises.split));
    found.extend(replica_back(&events.reads));
    found.extend(refused(&events.failures, promises));
    found
}

/// Values that are none of their object's, are not written yet, or are not of the version named with them.
fn wrong(events: &Events) -> impl Iterator<Item = Breach> {
    let written: HashMap<_, _> = events.writes.iter().map(|write| ((write.object, write.number), write)).collect();
    events.reads.iter().filter_map(move |read| {
        let Read { client, object, .. } = *read;
        let write = read.number.and_then(|number| written.get(&(object, number)).copied());
        let Some(write) = write.filter(|write| write.began <= read.came) else {
            return Some(Breach::Wrong { client, object });
        };
        let other = read.version.as_ref().is_some_and(|version| *version != write.version);
        other.then_some(Breach::Version { object, number: write.number })
    })
}

/// Clients ask one after the other, so their reads are in order.
fn back(reads: &[Read], split: bool) -> Vec<Breach> {
    let mut had: BTreeMap<(Client, usize), Vec<(usize, u64)>> = BTreeMap::new();
    let mut found = Vec::new();
    for read in reads {
        let Read { client, object, replica, .. } = *read;
        let Some(got) = read.number else { continue };
        let seen = had.entry((client, object)).or_default();
        let newest = seen.iter().filter(|(of, _)| !split || *of == replica).max_by_key(|(_, number)| *number).copied();
        if let Some((one, number)) = newest.filter(|(_, number)| *number > got) {
            found.push(Breach::Back { client, object, numbers: (number, got), replicas: (one, replica) });
        }
        match seen.iter_mut().find(|(of, _)| *of == replica) {
            Some((_, number)) => *number = got.max(*number),
            None => seen.push((replica, got)),
        }
    }
    found
}

/// Whoever asks a replica after it has given a value to anybody gets that or a later one.
fn replica_back(reads: &[Read]) -> Vec<Breach> {
    let mut of: BTreeMap<(usize, usize), Vec<&Read>> = BTreeMap::new();
    for read in reads {
        of.entry((read.replica, read.object)).or_default().push(read);
    }
    of.values_mut().flat_map(|reads| goes_back(reads)).collect()
}

/// Of one object at one replica.
fn goes_back(reads: &mut Vec<&Read>) -> Vec<Breach> {
    let mut came: Vec<_> = reads.iter().filter_map(|read| read.number.map(|number| (read.came, number))).collect();
    came.sort_unstable();
    reads.sort_unstable_by_key(|read| read.sent);
    let (mut next, mut newest) = (came.into_iter().peekable(), 0);
    let mut found = Vec::new();
    for read in reads.iter() {
        while let Some((_, number)) = next.next_if(|(came, _)| *came < read.sent) {
            newest = newest.max(number);
        }
        if let Some(number) = read.number.filter(|number| *number < newest) {
            let Read { replica, object, .. } = **read;
            found.push(Breach::ReplicaBack { replica, object, numbers: (newest, number) });
        }
    }
    found
}

fn refused(failures: &[Failure], promises: &Promises) -> Vec<Breach> {
    let within =
        |failure: &Failure| promises.served.iter().any(|(from, until)| *from <= failure.sent && failure.came <= *until);
    let breach = |failure: &Failure| {
        let Failure { client, replica, code, reason, last, .. } = failure.clone();
        if within(failure) {
            return Some(Breach::NotServed { client, replica, reason });
        }
        let expected = code.is_some_and(|code| promises.refusals.contains(&code));
        (last && !expected).then_some(Breach::Refused { client, code, reason })
    };
    failures.iter().filter_map(breach).collect()
}

/// The most calls that any span of `window` saw; of `calls` in order.
pub fn most_within(calls: &[Instant], window: Duration) -> usize {
    let (mut first, mut most) = (0, 0);
    for (last, call) in calls.iter().enumerate() {
        while *call - calls[first] >= window {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::history::Write;

    /// Write `number` of object 0 begins at second `number`.
    fn history(reads: Vec<Read>) -> (Events, Instant) {
        let first = reads.first().map_or_else(Instant::now, |read| read.sent);
        let start = first.checked_sub(Duration::from_secs(10)).unwrap();
        let write = |number: u64| Write {
            object: 0,
            number,
            began: start + Duration::from_secs(number),
            version: format!("v{number}"),
        };
        (Events { writes: (1..=9).map(write).collect(), reads, failures: Vec::new() }, start)
    }

    /// Client, replica, number, and when in milliseconds after all but the last write.
    fn read(start: Instant, (client, replica, number): (usize, usize, u64), (sent, came): (u64, u64)) -> Read {
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let (client, number) = (Client(client), Some(number));
        Read { client, replica, object: 0, sent: at(sent), came: at(came), number, version: None }
    }

    /// Who, where and what; when asked and when answered.
    type Told = ((usize, usize, u64), (u64, u64));

    fn of(reads: &[Told], split: bool) -> Vec<Breach> {
        let start = Instant::now() + Duration::from_secs(10);
        let reads = reads.iter().map(|(who, when)| read(start, *who, *when)).collect();
        breaches(&history(reads).0, &Promises { split, ..Promises::default() })
    }

    #[test]
    fn a_good_history_has_no_breach() {
        let reads = [((1, 0, 3), (0, 5)), ((2, 1, 4), (6, 9)), ((1, 0, 3), (6, 8)), ((1, 1, 5), (10, 11))];
        assert_eq!(of(&reads, false), []);
    }

    #[test]
    fn a_value_of_nobody_and_one_from_the_future_are_wrong() {
        let (mut events, start) = history(vec![read(Instant::now(), (1, 0, 3), (0, 1))]);
        let wrong = [Breach::Wrong { client: Client(1), object: 0 }];
        for number in [None, Some(0), Some(10)] {
            events.reads[0].number = number;
            assert_eq!(breaches(&events, &Promises::default()), wrong, "{number:?}");
        }
        events.reads[0].number = Some(9);
        assert_eq!(breaches(&events, &Promises::default()), []);
        events.reads[0].came = start + Duration::from_secs(8);
        assert_eq!(breaches(&events, &Promises::default()), wrong);
    }

    #[test]
    fn a_value_under_another_version_is_found() {
        let (mut events, _) = history(vec![read(Instant::now(), (1, 0, 3), (0, 1))]);
        for (version, expected) in [("v3", vec![]), ("v2", vec![Breach::Version { object: 0, number: 3 }])] {
            events.reads[0].version = Some(version.to_owned());
            assert_eq!(breaches(&events, &Promises::default()), expected);
        }
    }

    #[test]
    fn a_client_that_gets_an_older_value_is_found_between_replicas_too_unless_they_were_apart() {
        let moved = [((1, 0, 4), (0, 1)), ((1, 1, 3), (2, 3))];
        let back = Breach::Back { client: Client(1), object: 0, numbers: (4, 3), replicas: (0, 1) };
        assert_eq!(of(&moved, false), [back]);
        assert_eq!(of(&moved, true), []);
        let returned = [((1, 0, 4), (0, 1)), ((1, 1, 3), (2, 3)), ((1, 0, 3), (4, 5))];
        let found = of(&returned, true);
        assert!(found.contains(&Breach::ReplicaBack { replica: 0, object: 0, numbers: (4, 3) }), "{found:?}");
        assert!(
            found.contains(&Breach::Back { client: Client(1), object: 0, numbers: (4, 3), replicas: (0, 0) }),
            "{found:?}"
        );
    }

    #[test]
    fn a_replica_that_gives_another_client_an_older_value_is_found_but_not_where_both_were_under_way() {
        let later = [((1, 0, 4), (0, 5)), ((2, 0, 3), (6, 7))];
        assert_eq!(of(&later, false), [Breach::ReplicaBack { replica: 0, object: 0, numbers: (4, 3) }]);
        let together = [((1, 0, 4), (0, 5)), ((2, 0, 3), (4, 7))];
        assert_eq!(of(&together, false), []);
    }

    #[test]
    fn refusals_are_breaches_unless_expected_and_tries_only_where_all_are_served() {
        let (mut events, start) = history(vec![]);
        let at = |seconds| start + Duration::from_secs(seconds);
        let failure = |code, last| Failure {
            client: Client(1),
            replica: 0,
            sent: at(1),
            came: at(2),
            code,
            reason: "so".to_owned(),
            last,
        };
        let counts = |events: &Events, promises| breaches(events, &promises).len();
        let served = |from, until| Promises { served: vec![(at(from), at(until))], ..Promises::default() };
        for (code, last, found) in [(Some(Code::NotFound), true, 1), (None, true, 1), (Some(Code::NotFound), false, 0)]
        {
            events.failures = vec![failure(code, last)];
            assert_eq!(counts(&events, Promises::default()), found, "{code:?} {last}");
            assert_eq!(counts(&events, served(1, 2)), 1, "{code:?} {last}");
            assert_eq!(counts(&events, served(3, 4)), found, "{code:?} {last}");
        }
        events.failures = vec![failure(Some(Code::NotFound), true)];
        let expected = Promises { refusals: vec![Code::NotFound], ..Promises::default() };
        assert_eq!(counts(&events, expected), 0);
    }

    #[test]
    fn the_fullest_window_counts_wherever_it_begins() {
        let start = Instant::now();
        let calls: Vec<_> = [0, 9, 10, 11, 18, 19, 30].map(|second| start + Duration::from_secs(second)).into();
        assert_eq!(most_within(&calls, Duration::from_secs(10)), 4, "9, 10, 11 and 18");
        assert_eq!(most_within(&calls[..1], Duration::from_secs(10)), 1);
        assert_eq!(most_within(&[], Duration::from_secs(10)), 0);
    }
}
