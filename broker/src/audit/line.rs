//! A record as a line of JSON.

use std::{
    fmt,
    io::{self, Cursor},
    net::SocketAddr,
};

use keyward_types::Reference;
use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Record, code_name};
use crate::{
    authz::Rule,
    milliseconds::milliseconds,
    object::ObjectId,
    resolve::{Outcome, ResolveError},
};

/// Room that a line and each of its objects usually take: growing a line is most of what building it costs.
const LINE_BYTES: usize = 512;
const OBJECT_BYTES: usize = 320;
/// `2026-01-31T23:59:59.123456789Z`, and room for years that nobody will see.
const MAX_STAMP: usize = 40;

/// The whole line with its end.
pub(super) fn text(record: &Record<'_>, now: OffsetDateTime) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(LINE_BYTES + OBJECT_BYTES * record.outcomes.len());
    serde_json::to_writer(&mut text, &Line::of(record, now))?;
    text.push(b'\n');
    Ok(text)
}

/// A line borrows everything that it says: it is built for each request and lives for microseconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: Stamp,
    audit: &'static str,
    code: &'static str,
    caller: Option<CallerFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binding: Option<BindingFields<'a>>,
    peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    objects: Objects<'a>,
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
struct BindingFields<'a> {
    container: Option<&'a str>,
    verdict: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectFields<'a> {
    reference: Shown<&'a Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Shown<&'a ObjectId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Shown<Rule<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    #[serde(skip_serializing_if = "is_false")]
    stale: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Shown<&'a ResolveError>>,
}

/// The outcomes, each turned into its fields as it is written.
struct Objects<'a>(&'a [Outcome]);

impl Serialize for Objects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ObjectFields::of))
    }
}

/// Written as it displays, without a text in between.
pub(super) struct Shown<T>(pub(super) T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A time, written as RFC 3339 without a text in between.
struct Stamp(OffsetDateTime);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Cursor::new([0; MAX_STAMP]);
        self.0.format_into(&mut text, &Rfc3339).map_err(serde::ser::Error::custom)?;
        let length = usize::try_from(text.position()).map_err(serde::ser::Error::custom)?;
        let text = text.get_ref().get(..length).unwrap_or_default();
        serializer.serialize_str(std::str::from_utf8(text).map_err(serde::ser::Error::custom)?)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

impl<'a> Line<'a> {
    fn of(record: &Record<'a>, now: OffsetDateTime) -> Self {
        Self {
            time: Stamp(now),
            audit: "resolve",
            code: code_name(record.code),
            caller: record.caller.map(|caller| CallerFields {
                namespace: &caller.namespace,
                service_account: &caller.service_account,
                pod: &caller.pod_name,
                pod_uid: &caller.pod_uid,
                node: caller.node.as_deref(),
            }),
            binding: record
                .binding
                .map(|binding| BindingFields { container: binding.container.as_deref(), verdict: binding.verdict }),
            peer: record.peer,
            error: record.error,
            objects: Objects(record.outcomes),
        }
    }
}

impl<'a> ObjectFields<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let trail = outcome.trail.as_ref();
        let served = trail.and_then(|trail| trail.served.as_ref());
        Self {
            reference: Shown(&outcome.reference),
            vault: trail.map(|trail| trail.vault().as_str()),
            object: trail.map(|trail| Shown(trail.object())),
            rule: trail.map(|trail| Shown(trail.grant.rule())),
            version: served.map(|(entry, _)| entry.version.as_str()),
            age_ms: served.map(|(_, age)| milliseconds(*age)),
            stale: trail.is_some_and(|trail| trail.stale.is_some()),
            error: outcome.value.as_ref().err().map(Shown),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keyward_types::SecretBytes;
    use tonic::Code;

    use super::*;
    use crate::{audit::PodVerdict, authz::Denial, testing};

    #[test]
    fn a_line_tells_who_and_what_and_no_value() {
        let outcomes = [
            Outcome {
                reference: Reference::new("db", Some("username")).unwrap(),
                trail: Some(testing::trail(Some(('a', Duration::from_millis(1500))))),
                value: Ok(SecretBytes::from("kwcanary-value")),
            },
            Outcome {
                reference: Reference::new("no", None).unwrap(),
                trail: None,
                value: Err(Denial::UnknownSecret { namespace: "shop".into(), name: "no".into() }.into()),
            },
        ];
        let binding = PodVerdict { container: Some("app".into()), verdict: "carried" };
        let record = Record {
            caller: None,
            binding: Some(&binding),
            peer: None,
            code: Code::NotFound,
            error: None,
            outcomes: &outcomes,
        };
        let text = text(&record, OffsetDateTime::UNIX_EPOCH).unwrap();
        assert!(text.ends_with(b"}\n") && std::str::from_utf8(&text).unwrap().lines().count() == 1);
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&text).unwrap(),
            serde_json::json!({
                "time": "1970-01-01T00:00:00Z", "audit": "resolve", "code": "NOT_FOUND", "caller": null, "peer": null,
                "binding": {"container": "app", "verdict": "carried"},
                "objects": [
                    {"reference": "db@azurekeyvault?username", "vault": "https://acme.vault.azure.net",
                     "object": "secret/db", "rule": "AzureKeyVault acme: namespaces.names `shop`, every object", "version": "a".repeat(32), "ageMs": 1500},
                    {"reference": "no@azurekeyvault", "error": "AzureKeyVaultSecret shop/no does not exist; \
                     create it in that namespace or correct the reference"},
                ],
            })
        );
    }

    #[test]
    fn times_are_rfc_3339_to_the_last_digit_and_the_last_year() {
        for (nanoseconds, expected) in [
            (1_500_000_000, "\"1970-01-01T00:00:01.5Z\""),
            (1_700_000_000_123_456_789, "\"2023-11-14T22:13:20.123456789Z\""),
            (253_402_300_799_999_999_999, "\"9999-12-31T23:59:59.999999999Z\""),
        ] {
            let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap();
            assert_eq!(serde_json::to_string(&Stamp(time)).unwrap(), expected);
        }
    }

    #[test]
    fn only_what_is_stale_is_called_so() {
        let outcome = Outcome {
            reference: Reference::new("db", None).unwrap(),
            trail: None,
            value: Ok(SecretBytes::from("kwcanary-value")),
        };
        let fresh = ObjectFields::of(&outcome);
        assert_eq!(serde_json::to_string(&fresh).unwrap(), r#"{"reference":"db@azurekeyvault"}"#);
        let stale = ObjectFields { stale: true, ..fresh };
        assert_eq!(serde_json::to_string(&stale).unwrap(), r#"{"reference":"db@azurekeyvault","stale":true}"#);
    }
}
