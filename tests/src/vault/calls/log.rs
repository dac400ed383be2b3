//! The latest calls one by one: what a count cannot tell is when they came.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Calls kept; the oldest go first.
const MAX_RECORDS: usize = 100_000;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// When it arrived.
    pub at: Instant,
    /// The vault's name, or `entra`, `imds`, `appservice`.
    pub vault: String,
    /// As in [`CallCount`](super::CallCount).
    pub operation: String,
    /// As in [`CallCount`](super::CallCount).
    pub object: String,
    /// The client id that its token names, or that it asks a token for; `None` where nobody was recognised.
    pub client: Option<String>,
    /// The HTTP status answered; `None` where there was no answer, or not yet.
    pub status: Option<u16>,
}

/// Records by number; the numbers of those kept have no gaps.
#[derive(Default)]
pub(super) struct Log {
    records: VecDeque<Arc<CallRecord>>,
    /// Number of the first record.
    first: u64,
    forgotten: u64,
}

impl Log {
    /// Adds a record; its number.
    pub(super) fn push(&mut self, record: CallRecord) -> u64 {
        if self.records.len() >= MAX_RECORDS {
            self.records.pop_front();
            self.first += 1;
            self.forgotten += 1;
        }
        self.records.push_back(Arc::new(record));
        self.first + self.records.len() as u64 - 1
    }

    /// Changes a record, if it is still there. Reports made before keep what they have.
    pub(super) fn change(&mut self, number: u64, change: impl FnOnce(&mut CallRecord)) {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(record) = place.and_then(|place| self.records.get_mut(place)) {
            change(Arc::make_mut(record));
        }
    }

    /// All records, in order of arrival.
    pub(super) fn records(&self) -> Vec<Arc<CallRecord>> {
        self.records.iter().cloned().collect()
    }

    /// How many records went to make room.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Forgets all records, on purpose.
    pub(super) fn clear(&mut self) {
        self.first += self.records.len() as u64;
        self.records.clear();
        self.forgotten = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(object: &str) -> CallRecord {
        let (vault, operation) = ("acme".to_owned(), "SecretGet".to_owned());
        CallRecord { at: Instant::now(), vault, operation, object: object.to_owned(), client: None, status: None }
    }

    #[test]
    fn a_record_is_found_by_its_number_until_it_is_forgotten() {
        let mut log = Log::default();
        let first = log.push(record("first"));
        log.clear();
        let second = log.push(record("second"));
        log.change(first, |_| panic!("it is forgotten"));
        log.change(second, |record| record.status = Some(200));
        assert_eq!(log.records()[0].status, Some(200));
    }

    #[test]
    fn the_oldest_make_room_and_that_is_told() {
        let mut log = Log::default();
        for _ in 0..=MAX_RECORDS {
            log.push(record("a"));
        }
        assert_eq!((log.records().len(), log.forgotten()), (MAX_RECORDS, 1));
    }
}
