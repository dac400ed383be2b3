//! An exact count of every call, by vault, operation, object and status, and a log of the latest ones with their times
//! and callers. Challenge probes count (status 401), and so do token requests (vault `entra`, `imds` or `appservice`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::lock::lock;

mod log;

pub use log::CallRecord;

use log::Log;

/// Counted as the status of a call that got no answer: its client left first, or a fault cut it off.
pub const CLIENT_GONE: u16 = 499;

/// Rows kept apart. Object names come from callers, so there must be an end; later rows share one name.
const MAX_ROWS: usize = 100_000;
const OTHER: &str = "(other)";

/// How often one thing was asked for and answered in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    /// The vault's name, or `entra`, `imds`, `appservice`.
    pub vault: String,
    /// As Key Vault's audit log calls it: `SecretGet`, `SecretList`, `CertificateCreate`, `KeyListVersions`; `Token`.
    pub operation: String,
    /// The object's name in lower case, or the client id of a token; empty for lists.
    pub object: String,
    /// The HTTP status answered; 499 where there was no answer.
    pub status: u16,
    /// How often.
    pub count: u64,
}

/// All rows and the log at one moment.
#[derive(Clone, Debug, Default)]
pub struct CallReport {
    rows: Vec<CallCount>,
    log: Vec<Arc<CallRecord>>,
    forgotten: u64,
}

impl CallReport {
    /// The rows, sorted.
    pub fn rows(&self) -> &[CallCount] {
        &self.rows
    }

    /// The latest calls in order of arrival, those under way included.
    pub fn log(&self) -> &[Arc<CallRecord>] {
        &self.log
    }

    /// How many earlier calls the log has no more: where this is not 0, it cannot prove that there was no call.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Calls in all rows that `wanted` accepts.
    pub fn matching(&self, wanted: impl Fn(&CallCount) -> bool) -> u64 {
        self.rows.iter().filter(|row| wanted(row)).map(|row| row.count).sum()
    }

    /// All calls.
    pub fn total(&self) -> u64 {
        self.matching(|_| true)
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    vault: String,
    operation: String,
    object: String,
    status: u16,
}

/// The counter.
#[derive(Default)]
pub(super) struct Calls(Mutex<Book>);

#[derive(Default)]
struct Book {
    rows: BTreeMap<Key, u64>,
    log: Log,
}

impl Calls {
    /// Opens a call. It is counted when it is finished, or as [`CLIENT_GONE`] when it is dropped.
    pub(super) fn open(&self, vault: &str, operation: &str, object: &str) -> OpenCall<'_> {
        let (vault, operation, object) = (vault.to_owned(), operation.to_owned(), object.to_ascii_lowercase());
        let record = CallRecord {
            at: Instant::now(),
            vault: vault.clone(),
            operation: operation.clone(),
            object: object.clone(),
            client: None,
            status: None,
        };
        let number = lock(&self.0).log.push(record);
        OpenCall { calls: self, number, key: Key { vault, operation, object, status: CLIENT_GONE } }
    }

    /// What was counted so far.
    pub(super) fn report(&self) -> CallReport {
        let row = |(key, count): (&Key, &u64)| CallCount {
            vault: key.vault.clone(),
            operation: key.operation.clone(),
            object: key.object.clone(),
            status: key.status,
            count: *count,
        };
        let book = lock(&self.0);
        CallReport {
            rows: book.rows.iter().map(row).collect(),
            log: book.log.records(),
            forgotten: book.log.forgotten(),
        }
    }

    /// Forgets all counts and the log.
    pub(super) fn reset(&self) {
        let mut book = lock(&self.0);
        book.rows.clear();
        book.log.clear();
    }
}

impl Book {
    fn count(&mut self, mut key: Key) {
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&key) {
            OTHER.clone_into(&mut key.object);
        }
        *self.rows.entry(key).or_default() += 1;
    }
}

/// A call under way.
pub(super) struct OpenCall<'a> {
    calls: &'a Calls,
    number: u64,
    key: Key,
}

impl OpenCall<'_> {
    /// Notes whose call it is.
    pub(super) fn by(&self, client: &str) {
        lock(&self.calls.0).log.change(self.number, |record| record.client = Some(client.to_owned()));
    }

    /// Counts the call under the status it is answered with.
    pub(super) fn finish(mut self, status: StatusCode) {
        self.key.status = status.as_u16();
        lock(&self.calls.0).log.change(self.number, |record| record.status = Some(status.as_u16()));
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        lock(&self.calls.0).count(self.key.clone());
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn equal_calls_share_a_row_and_names_compare_without_case() {
        let calls = Calls::default();
        calls.open("acme", "SecretGet", "DB-Password").finish(StatusCode::OK);
        calls.open("acme", "SecretGet", "db-password").finish(StatusCode::OK);
        calls.open("acme", "SecretGet", "db-password").finish(StatusCode::NOT_FOUND);
        let report = calls.report();
        assert_eq!(report.rows().len(), 2);
        assert_eq!(report.matching(|row| row.status == 200), 2);
        assert_eq!(report.total(), 3);
    }

    #[test]
    fn a_call_that_is_dropped_counts_as_a_client_gone() {
        let calls = Calls::default();
        drop(calls.open("acme", "SecretGet", "a"));
        assert_eq!(calls.report().matching(|row| row.status == CLIENT_GONE), 1);
    }

    #[test]
    fn a_reset_forgets_everything() {
        let calls = Calls::default();
        calls.open("acme", "SecretList", "").finish(StatusCode::OK);
        calls.reset();
        assert_eq!(calls.report().total(), 0);
    }

    #[test]
    fn the_log_tells_when_whose_and_how_answered() {
        let calls = Calls::default();
        let before = Instant::now();
        let call = calls.open("acme", "SecretGet", "A");
        call.by("app");
        let under_way = calls.report();
        call.finish(StatusCode::OK);
        drop(calls.open("acme", "SecretList", ""));
        let report = calls.report();
        let [get, list] = report.log() else { panic!("two calls") };
        assert!(before <= get.at && get.at <= list.at);
        assert_eq!((get.object.as_str(), get.client.as_deref(), get.status), ("a", Some("app"), Some(200)));
        assert_eq!((list.operation.as_str(), &list.client, list.status), ("SecretList", &None, None));
        assert_eq!(under_way.log()[0].status, None, "a report is of its moment");
    }
}
