//! One JSON line for each `Fetch`, granted or not.
//!
//! | field | meaning |
//! |---|---|
//! | `time`, `code`, `peer`, `error` | as for a `Resolve` |
//! | `audit` | always `fetch` |
//! | `role` | whom the client certificate proves |
//! | `namespace`, `name`, `uid`, `generation` | the `AzureKeyVaultSecret` asked for |
//! | `vault`, `object`, `rule`, `version`, `ageMs`, `staleMs` | as far as they came to be; `staleMs` only where the vault could not confirm the object |

use std::net::SocketAddr;

use keyward_kit::tls::role::Role;
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tonic::Code;

use super::{AuditLog, code_name, line::Shown};
use crate::{
    authz::Rule, fetch::Wanted, milliseconds::milliseconds, object::ObjectId, resolve::Trail, vault::origin::Origin,
};

/// What is said of one fetch.
pub struct FetchRecord<'a> {
    /// Who asked.
    pub role: Option<Role>,
    /// From where.
    pub peer: Option<SocketAddr>,
    /// For what.
    pub wanted: &'a Wanted,
    /// The code answered.
    pub code: Code,
    /// Why there is no data.
    pub error: Option<&'a str>,
    /// What it was granted by.
    pub trail: Option<&'a Trail>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: String,
    audit: &'static str,
    code: &'static str,
    role: Option<&'static str>,
    peer: Option<SocketAddr>,
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
    generation: i64,
    #[serde(flatten)]
    object: Option<ObjectFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectFields<'a> {
    vault: Shown<&'a Origin>,
    object: Shown<&'a ObjectId>,
    rule: Shown<Rule<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_ms: Option<u64>,
}

impl AuditLog {
    /// Writes one line. Fails when it could not be written; the caller then must not hand out the data.
    pub fn write_fetch(&self, record: &FetchRecord<'_>) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(&record.line(OffsetDateTime::now_utc()))?;
        line.push(b'\n');
        self.write_line(&line)
    }
}

impl<'a> FetchRecord<'a> {
    fn line(&self, now: OffsetDateTime) -> Line<'a> {
        Line {
            time: now.format(&Rfc3339).unwrap_or_default(),
            audit: "fetch",
            code: code_name(self.code),
            role: self.role.map(Role::as_str),
            peer: self.peer,
            namespace: &self.wanted.namespace,
            name: &self.wanted.name,
            uid: &self.wanted.uid,
            generation: self.wanted.generation,
            object: self.trail.map(object_fields),
            error: self.error,
        }
    }
}

fn object_fields(trail: &Trail) -> ObjectFields<'_> {
    let served = trail.served.as_ref();
    ObjectFields {
        vault: Shown(trail.vault()),
        object: Shown(trail.object()),
        rule: Shown(trail.grant.rule()),
        version: served.map(|(entry, _)| entry.version.as_str()),
        age_ms: served.map(|(_, age)| milliseconds(*age)),
        stale_ms: trail.stale.map(milliseconds),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing;

    #[test]
    fn a_line_tells_who_fetched_what_and_no_value() {
        let wanted = Wanted { namespace: "shop".into(), name: "db".into(), uid: "u-1".into(), generation: 3 };
        let served = Some(('a', Duration::from_millis(1500)));
        let trail = Trail { stale: Some(Duration::from_secs(60)), ..testing::trail(served) };
        let mut record = FetchRecord {
            role: Some(Role::Controller),
            peer: None,
            wanted: &wanted,
            code: Code::Ok,
            error: None,
            trail: Some(&trail),
        };
        let line = serde_json::to_value(record.line(OffsetDateTime::UNIX_EPOCH)).unwrap();
        assert_eq!(
            line,
            serde_json::json!({
                "time": "1970-01-01T00:00:00Z", "audit": "fetch", "code": "OK", "role": "controller", "peer": null,
                "namespace": "shop", "name": "db", "uid": "u-1", "generation": 3,
                "vault": "https://acme.vault.azure.net", "object": "secret/db", "rule": "AzureKeyVault acme: namespaces.names `shop`, every object",
                "version": "a".repeat(32), "ageMs": 1500, "staleMs": 60_000,
            })
        );
        (record.trail, record.code, record.error) = (None, Code::NotFound, Some("no such"));
        let line = serde_json::to_value(record.line(OffsetDateTime::UNIX_EPOCH)).unwrap();
        assert_eq!((&line["error"], &line["vault"]), (&"no such".into(), &serde_json::Value::Null));
    }
}
