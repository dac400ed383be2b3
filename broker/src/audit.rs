//! One JSON line for each `Resolve`, granted or not: who asked, for what, by which rule, what was served. Never a value.
//!
//! | field | meaning |
//! |---|---|
//! | `time` | RFC 3339, UTC |
//! | `audit` | always `resolve` |
//! | `code` | the gRPC code answered |
//! | `caller` | `namespace`, `serviceAccount`, `pod`, `podUid`, `node`; null when the token was refused |
//! | `peer` | the caller's address |
//! | `error` | the refusal of the whole request, where it was not about one reference |
//! | `objects[]` | `reference`, then `vault`, `object`, `rule`, `version`, `ageMs` as far as they came to be, and `error` |
//!
//! Lines go to standard output, apart from the logs on standard error, and are written before the reply is sent.

pub mod fetch;

use std::{
    io::Write,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tonic::Code;

use crate::{authn::Caller, resolve::Outcome};

/// Where the lines go.
pub struct AuditLog {
    out: Mutex<Box<dyn Write + Send>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: String,
    audit: &'static str,
    code: &'static str,
    caller: Option<CallerFields<'a>>,
    peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    objects: Vec<ObjectFields>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallerFields<'a> {
    namespace: &'a str,
    service_account: &'a str,
    pod: &'a str,
    pod_uid: &'a str,
    node: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectFields {
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What is said of one request.
pub struct Record<'a> {
    /// Who asked; `None` when the token was refused.
    pub caller: Option<&'a Caller>,
    /// From where.
    pub peer: Option<SocketAddr>,
    /// The code answered.
    pub code: Code,
    /// The refusal of the whole request.
    pub error: Option<&'a str>,
    /// What became of each reference.
    pub outcomes: &'a [Outcome],
}

impl AuditLog {
    /// Writes to `out`, one line at a time.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self { out: Mutex::new(Box::new(out)) }
    }

    /// Writes one line. Fails when it could not be written; the caller then must not hand out the values.
    pub fn write(&self, record: &Record<'_>) -> std::io::Result<()> {
        self.write_line(&record.line(OffsetDateTime::now_utc()))
    }

    fn write_line(&self, line: &impl Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&line)?;
        out.flush()
    }
}

impl<'a> Record<'a> {
    fn line(&self, now: OffsetDateTime) -> Line<'a> {
        Line {
            time: now.format(&Rfc3339).unwrap_or_default(),
            audit: "resolve",
            code: code_name(self.code),
            caller: self.caller.map(|caller| CallerFields {
                namespace: &caller.namespace,
                service_account: &caller.service_account,
                pod: &caller.pod_name,
                pod_uid: &caller.pod_uid,
                node: caller.node.as_deref(),
            }),
            peer: self.peer,
            error: self.error,
            objects: self.outcomes.iter().map(object_fields).collect(),
        }
    }
}

fn object_fields(outcome: &Outcome) -> ObjectFields {
    let trail = outcome.trail.as_ref();
    let served = trail.and_then(|trail| trail.served.as_ref());
    ObjectFields {
        reference: outcome.reference.to_string(),
        vault: trail.map(|trail| trail.vault.clone()),
        object: trail.map(|trail| trail.object.clone()),
        rule: trail.map(|trail| trail.rule.clone()),
        version: served.map(|(version, _)| version.to_string()),
        age_ms: served.map(|(_, age)| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        error: outcome.value.as_ref().err().map(ToString::to_string),
    }
}

/// The code as gRPC spells it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keyward_types::{ObjectVersion, Reference, SecretBytes};

    use super::*;
    use crate::{authz::Denial, resolve::Trail};

    #[test]
    fn a_line_tells_who_and_what_and_no_value() {
        let outcomes = [
            Outcome {
                reference: Reference::new("db", Some("username")).unwrap(),
                trail: Some(Trail {
                    vault: "https://acme.vault.azure.net".into(),
                    object: "secret/db".into(),
                    rule: "AzureKeyVault acme".into(),
                    served: Some((ObjectVersion::new(&"a".repeat(32)).unwrap(), Duration::from_millis(1500))),
                    stale: None,
                }),
                value: Ok(SecretBytes::from("kwcanary-value")),
            },
            Outcome {
                reference: Reference::new("no", None).unwrap(),
                trail: None,
                value: Err(Denial::UnknownSecret { namespace: "shop".into(), name: "no".into() }.into()),
            },
        ];
        let record = Record { caller: None, peer: None, code: Code::NotFound, error: None, outcomes: &outcomes };
        let line = serde_json::to_value(record.line(OffsetDateTime::UNIX_EPOCH)).unwrap();
        assert_eq!(
            line,
            serde_json::json!({
                "time": "1970-01-01T00:00:00Z", "audit": "resolve", "code": "NOT_FOUND", "caller": null, "peer": null,
                "objects": [
                    {"reference": "db@azurekeyvault?username", "vault": "https://acme.vault.azure.net",
                     "object": "secret/db", "rule": "AzureKeyVault acme", "version": "a".repeat(32), "ageMs": 1500},
                    {"reference": "no@azurekeyvault", "error": "AzureKeyVaultSecret shop/no does not exist; \
                     create it in that namespace or correct the reference"},
                ],
            })
        );
    }
}
