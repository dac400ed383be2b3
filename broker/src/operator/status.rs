//! The status as aligned columns, and as JSON. Pure.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use keyward_proto::v1::{CachedObject, Replica, StatusResponse, Vault};
use prost_types::Timestamp;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::columns;

/// Writes the tables; `now` gives the ages.
pub fn write(status: &StatusResponse, now: SystemTime, out: &mut impl Write) -> io::Result<()> {
    let totals = status.totals.unwrap_or_default();
    let asked = totals.hits + totals.misses;
    writeln!(
        out,
        "Cache: {} objects, {} of {} bytes; {} of {asked} reads answered from memory; {} AzureKeyVaultSecrets known\n",
        totals.entries, totals.bytes, totals.max_bytes, totals.hits, totals.secrets
    )?;
    if status.replicas.len() > 1 {
        let replicas = status.replicas.iter().map(|replica| replica_row(replica, &status.vaults, now));
        columns::table(out, ["REPLICA", "STATE", "HEARD", "VAULTS"], replicas)?;
        writeln!(out)?;
    }
    let vaults = status.vaults.iter().map(|vault| vault_row(vault, now));
    let head = ["VAULT", "ORIGIN", "REQUESTS", "BUDGET", "POLL", "CHECKED", "OBJECTS", "STALE", "STATE"];
    columns::table(out, head, vaults)?;
    writeln!(out)?;
    let objects = status.objects.iter().map(|object| {
        [
            object.name.clone(),
            object.r#type.clone(),
            object.vault.clone(),
            format!("{}{}", object.version, if object.pinned { " (pinned)" } else { "" }),
            ago(object.read_at.as_ref(), now),
            stale(object),
            object.expires.as_ref().map_or_else(|| "-".to_owned(), instant),
        ]
    });
    columns::table(out, ["OBJECT", "TYPE", "VAULT", "VERSION", "AGE", "STALE", "EXPIRES"], objects)?;
    if !status.invalid_manifests.is_empty() {
        writeln!(out)?;
        let invalid = status.invalid_manifests.iter();
        let rows = invalid.map(|manifest| [manifest.place.clone(), manifest.object.clone(), manifest.reason.clone()]);
        columns::table(out, ["INVALID MANIFEST", "OBJECT", "REASON"], rows)?;
    }
    Ok(())
}

/// The same as JSON: the field names of the protocol in lower camel case, times in RFC 3339.
pub fn json(status: &StatusResponse) -> Value {
    let totals = status.totals.unwrap_or_default();
    json!({
        "totals": {
            "entries": totals.entries, "bytes": totals.bytes, "maxBytes": totals.max_bytes,
            "hits": totals.hits, "misses": totals.misses, "secrets": totals.secrets,
        },
        "replicas": status.replicas.iter().map(|replica| json!({
            "id": replica.id, "state": replica.state, "own": replica.own,
            "heardAt": replica.heard_at.as_ref().map(instant),
        })).collect::<Vec<_>>(),
        "vaults": status.vaults.iter().map(|vault| json!({
            "name": vault.name, "origin": vault.origin, "problem": vault.problem,
            "requests": vault.requests, "pollIntervalMs": vault.poll_interval_ms,
            "maxStaleMs": vault.max_stale_ms, "pollMode": vault.poll_mode,
            "checkedAt": vault.checked_at.as_ref().map(instant), "lastError": vault.last_error,
            "breaker": vault.breaker, "retryAt": vault.retry_at.as_ref().map(instant),
            "budgetLeft": vault.budget_left, "budget": vault.budget,
            "objects": vault.objects, "staleObjects": vault.stale_objects, "owner": vault.owner,
        })).collect::<Vec<_>>(),
        "objects": status.objects.iter().map(|object| json!({
            "vault": object.vault, "type": object.r#type, "name": object.name, "version": object.version,
            "pinned": object.pinned, "readAt": object.read_at.as_ref().map(instant),
            "expires": object.expires.as_ref().map(instant), "bytes": object.bytes,
            "confirmedAt": object.confirmed_at.as_ref().map(instant), "staleMs": object.stale_ms,
        })).collect::<Vec<_>>(),
        "invalidManifests": status.invalid_manifests.iter().map(|manifest| json!({
            "place": manifest.place, "object": manifest.object, "reason": manifest.reason,
        })).collect::<Vec<_>>(),
    })
}

/// The vaults are those of this page.
fn replica_row(replica: &Replica, vaults: &[Vault], now: SystemTime) -> [String; 4] {
    let heard = if replica.own { "(this one)".to_owned() } else { ago(replica.heard_at.as_ref(), now) };
    let owned = vaults.iter().filter(|vault| vault.owner == replica.id).count();
    [replica.id.clone(), replica.state.clone(), heard, owned.to_string()]
}

fn vault_row(vault: &Vault, now: SystemTime) -> [String; 9] {
    let poll = format!("{} {}", interval(vault.poll_interval_ms), vault.poll_mode);
    [
        vault.name.clone(),
        vault.origin.clone(),
        vault.requests.to_string(),
        format!("{}/{}", vault.budget_left, vault.budget),
        poll.trim_end().to_owned(),
        ago(vault.checked_at.as_ref(), now),
        vault.objects.to_string(),
        vault.stale_objects.to_string(),
        state(vault),
    ]
}

/// What is wrong with a vault; the gravest first.
fn state(vault: &Vault) -> String {
    let left_alone = matches!(vault.breaker.as_str(), "open" | "probing");
    let breaker = if left_alone { format!("breaker {}", vault.breaker) } else { String::new() };
    let wrong: Vec<&str> = [&vault.problem, &breaker, &vault.last_error]
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(|text| &**text)
        .collect();
    if wrong.is_empty() { "ok".to_owned() } else { wrong.join("; ") }
}

fn stale(object: &CachedObject) -> String {
    match object.stale_ms {
        0 => "-".to_owned(),
        milliseconds => seconds(Duration::from_millis(milliseconds)),
    }
}

fn ago(at: Option<&Timestamp>, now: SystemTime) -> String {
    let at = at.and_then(|at| SystemTime::try_from(*at).ok());
    // A clock that stands before the broker's shows as an age of nothing.
    at.map_or_else(|| "-".to_owned(), |at| seconds(now.duration_since(at).unwrap_or_default()))
}

fn seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

fn interval(milliseconds: u64) -> String {
    humantime::format_duration(Duration::from_millis(milliseconds)).to_string()
}

fn instant(timestamp: &Timestamp) -> String {
    let instant = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok();
    instant.and_then(|instant| instant.format(&Rfc3339).ok()).unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use keyward_proto::v1::{CacheTotals, InvalidManifest};

    use super::*;

    #[test]
    fn the_table_is_aligned_and_names_what_is_wrong() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let status = StatusResponse {
            totals: Some(CacheTotals { entries: 1, bytes: 700, max_bytes: 1_000, hits: 3, misses: 1, secrets: 2 }),
            vaults: vec![
                Vault {
                    name: "acme".into(),
                    origin: "https://acme.vault.azure.net".into(),
                    requests: 2,
                    poll_interval_ms: 600_000,
                    poll_mode: "list".into(),
                    checked_at: at(1_060),
                    last_error: "the vault is throttling".into(),
                    breaker: "open".into(),
                    budget_left: 9,
                    budget: 10,
                    objects: 1,
                    stale_objects: 1,
                    owner: "00000000000000bb".into(),
                    ..Vault::default()
                },
                Vault { name: "partner".into(), problem: "unknown field".into(), ..Vault::default() },
            ],
            objects: vec![CachedObject {
                vault: "https://acme.vault.azure.net".into(),
                r#type: "secret".into(),
                name: "db".into(),
                version: "a".repeat(32),
                read_at: at(1_000),
                stale_ms: 60_500,
                ..CachedObject::default()
            }],
            invalid_manifests: vec![InvalidManifest {
                place: "shop.yaml#2".into(),
                object: "AzureKeyVaultSecret/shop/x".into(),
                reason: "spec is missing".into(),
            }],
            next_page_token: String::new(),
            replicas: vec![
                Replica { id: "00000000000000aa".into(), state: "serving".into(), own: true, heard_at: None },
                Replica { id: "00000000000000bb".into(), state: "leaving".into(), own: false, heard_at: at(1_089) },
            ],
        };
        let mut out = Vec::new();
        write(&status, SystemTime::UNIX_EPOCH + Duration::from_secs(1_090), &mut out).unwrap();
        let expected = "\
Cache: 1 objects, 700 of 1000 bytes; 3 of 4 reads answered from memory; 2 AzureKeyVaultSecrets known

REPLICA           STATE    HEARD       VAULTS
00000000000000aa  serving  (this one)  0
00000000000000bb  leaving  1s          1

VAULT    ORIGIN                        REQUESTS  BUDGET  POLL      CHECKED  OBJECTS  STALE  STATE
acme     https://acme.vault.azure.net  2         9/10    10m list  30s      1        1      breaker open; the vault is throttling
partner                                0         0/0     0s        -        0        0      unknown field

OBJECT  TYPE    VAULT                         VERSION                           AGE     STALE  EXPIRES
db      secret  https://acme.vault.azure.net  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  1m 30s  1m     -

INVALID MANIFEST  OBJECT                      REASON
shop.yaml#2       AzureKeyVaultSecret/shop/x  spec is missing
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
