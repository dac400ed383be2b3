//! The status as aligned columns, and as JSON. Pure.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use keyward_proto::v1::{CachedObject, StatusResponse};
use prost_types::Timestamp;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Writes the tables; `now` gives the ages.
pub fn write(status: &StatusResponse, now: SystemTime, out: &mut impl Write) -> io::Result<()> {
    let totals = status.totals.unwrap_or_default();
    let asked = totals.hits + totals.misses;
    writeln!(
        out,
        "Cache: {} objects, {} of {} bytes; {} of {asked} reads answered from memory; {} AzureKeyVaultSecrets known\n",
        totals.entries, totals.bytes, totals.max_bytes, totals.hits, totals.secrets
    )?;
    let vaults = status.vaults.iter().map(|vault| {
        let state = if vault.problem.is_empty() { "ok" } else { &vault.problem };
        [
            vault.name.clone(),
            vault.origin.clone(),
            vault.requests.to_string(),
            interval(vault.poll_interval_ms),
            state.into(),
        ]
    });
    columns(out, ["VAULT", "ORIGIN", "REQUESTS", "REFRESH", "STATE"], vaults)?;
    writeln!(out)?;
    let objects = status.objects.iter().map(|object| {
        [
            object.name.clone(),
            object.r#type.clone(),
            object.vault.clone(),
            format!("{}{}", object.version, if object.pinned { " (pinned)" } else { "" }),
            age(object, now),
            object.expires.as_ref().map_or_else(|| "-".to_owned(), instant),
        ]
    });
    columns(out, ["OBJECT", "TYPE", "VAULT", "VERSION", "AGE", "EXPIRES"], objects)?;
    if !status.invalid_manifests.is_empty() {
        writeln!(out)?;
        let invalid = status.invalid_manifests.iter();
        let rows = invalid.map(|manifest| [manifest.place.clone(), manifest.object.clone(), manifest.reason.clone()]);
        columns(out, ["INVALID MANIFEST", "OBJECT", "REASON"], rows)?;
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
        "vaults": status.vaults.iter().map(|vault| json!({
            "name": vault.name, "origin": vault.origin, "problem": vault.problem,
            "requests": vault.requests, "pollIntervalMs": vault.poll_interval_ms,
        })).collect::<Vec<_>>(),
        "objects": status.objects.iter().map(|object| json!({
            "vault": object.vault, "type": object.r#type, "name": object.name, "version": object.version,
            "pinned": object.pinned, "readAt": object.read_at.as_ref().map(instant),
            "expires": object.expires.as_ref().map(instant), "bytes": object.bytes,
        })).collect::<Vec<_>>(),
        "invalidManifests": status.invalid_manifests.iter().map(|manifest| json!({
            "place": manifest.place, "object": manifest.object, "reason": manifest.reason,
        })).collect::<Vec<_>>(),
    })
}

fn columns<const N: usize>(
    out: &mut impl Write,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default());
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn age(object: &CachedObject, now: SystemTime) -> String {
    let read_at = object.read_at.as_ref().and_then(|read_at| SystemTime::try_from(*read_at).ok());
    // A clock that stands before the broker's shows as an age of nothing.
    let age = read_at.map(|read_at| now.duration_since(read_at).unwrap_or_default());
    age.map_or_else(|| "-".to_owned(), |age| humantime::format_duration(Duration::from_secs(age.as_secs())).to_string())
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
    use keyward_proto::v1::{CacheTotals, InvalidManifest, Vault};

    use super::*;

    #[test]
    fn the_table_is_aligned_and_names_what_is_wrong() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let status = StatusResponse {
            totals: Some(CacheTotals { entries: 1, bytes: 700, max_bytes: 1_000, hits: 3, misses: 1, secrets: 2 }),
            vaults: vec![Vault {
                name: "acme".into(),
                origin: "https://acme.vault.azure.net".into(),
                requests: 2,
                poll_interval_ms: 600_000,
                ..Vault::default()
            }],
            objects: vec![CachedObject {
                vault: "https://acme.vault.azure.net".into(),
                r#type: "secret".into(),
                name: "db".into(),
                version: "a".repeat(32),
                read_at: at(1_000),
                ..CachedObject::default()
            }],
            invalid_manifests: vec![InvalidManifest {
                place: "shop.yaml#2".into(),
                object: "AzureKeyVaultSecret/shop/x".into(),
                reason: "spec is missing".into(),
            }],
            next_page_token: String::new(),
        };
        let mut out = Vec::new();
        write(&status, SystemTime::UNIX_EPOCH + Duration::from_secs(1_090), &mut out).unwrap();
        let expected = "\
Cache: 1 objects, 700 of 1000 bytes; 3 of 4 reads answered from memory; 2 AzureKeyVaultSecrets known

VAULT  ORIGIN                        REQUESTS  REFRESH  STATE
acme   https://acme.vault.azure.net  2         10m      ok

OBJECT  TYPE    VAULT                         VERSION                           AGE     EXPIRES
db      secret  https://acme.vault.azure.net  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  1m 30s  -

INVALID MANIFEST  OBJECT                      REASON
shop.yaml#2       AzureKeyVaultSecret/shop/x  spec is missing
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
