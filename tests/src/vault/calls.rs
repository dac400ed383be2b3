//! An exact count of every call, by vault, operation, object and status. Challenge probes count (status 401), and so do
//! token requests (vault `entra`, `imds` or `appservice`).

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::lock::lock;

/// Status of a call whose client went away before the answer.
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
    /// The HTTP status answered; 499 where the client left first.
    pub status: u16,
    /// How often.
    pub count: u64,
}

/// All rows at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallReport(Vec<CallCount>);

impl CallReport {
    /// The rows, sorted.
    pub fn rows(&self) -> &[CallCount] {
        &self.0
    }

    /// Calls in all rows that `wanted` accepts.
    pub fn matching(&self, wanted: impl Fn(&CallCount) -> bool) -> u64 {
        self.0.iter().filter(|row| wanted(row)).map(|row| row.count).sum()
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
pub(super) struct Calls {
    rows: Mutex<BTreeMap<Key, u64>>,
}

impl Calls {
    /// Opens a call. It is counted when it is finished, or as [`CLIENT_GONE`] when it is dropped.
    pub(super) fn open(&self, vault: &str, operation: &str, object: &str) -> OpenCall<'_> {
        let (vault, operation, object) = (vault.to_owned(), operation.to_owned(), object.to_ascii_lowercase());
        OpenCall { calls: self, key: Key { vault, operation, object, status: CLIENT_GONE } }
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
        CallReport(lock(&self.rows).iter().map(row).collect())
    }

    /// Forgets all counts.
    pub(super) fn reset(&self) {
        lock(&self.rows).clear();
    }

    fn count(&self, mut key: Key) {
        let mut rows = lock(&self.rows);
        if rows.len() >= MAX_ROWS && !rows.contains_key(&key) {
            OTHER.clone_into(&mut key.object);
        }
        *rows.entry(key).or_default() += 1;
    }
}

/// A call under way.
pub(super) struct OpenCall<'a> {
    calls: &'a Calls,
    key: Key,
}

impl OpenCall<'_> {
    /// Counts the call under the status it is answered with.
    pub(super) fn finish(mut self, status: StatusCode) {
        self.key.status = status.as_u16();
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.calls.count(self.key.clone());
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
}
