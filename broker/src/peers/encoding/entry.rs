//! An object as it was read. Instants do not travel: how long ago does.

use std::time::Duration;

use keyward_proto::v1::{self, object_entry::Object as Body};
use keyward_types::{ObjectVersion, SecretBytes};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::Garbled;
use crate::{
    cache::{Entry, Keeper, Kept, ReadAt},
    milliseconds::milliseconds,
    object::{Attributes, Certificate, Object, PublicKey, Stamp},
};

/// As it travels at `now`.
pub fn of_entry(entry: &Entry, now: Instant) -> v1::ObjectEntry {
    let Attributes { not_before, expires, created, updated } = entry.attributes;
    v1::ObjectEntry {
        version: entry.version.to_string(),
        not_before: not_before.map(OffsetDateTime::unix_timestamp),
        expires: expires.map(OffsetDateTime::unix_timestamp),
        created: created.map(OffsetDateTime::unix_timestamp),
        updated: updated.map(OffsetDateTime::unix_timestamp),
        stamp_updated: entry.stamp.updated.map(OffsetDateTime::unix_timestamp),
        stamp_hot: entry.stamp.hot,
        object: Some(of_body(&entry.object)),
        read_ms_ago: milliseconds(entry.since_read(now)),
        read_order: entry.read_at().order(),
        confirmed_ms_ago: milliseconds(entry.age(now)),
    }
}

/// As it was meant, having been said at `said`; compared with its vault by `keeper`.
pub fn to_entry(entry: Option<v1::ObjectEntry>, keeper: Keeper, said: Instant) -> Result<Entry, Garbled> {
    let entry = entry.ok_or(Garbled("no entry"))?;
    let attributes = Attributes {
        not_before: time(entry.not_before)?,
        expires: time(entry.expires)?,
        created: time(entry.created)?,
        updated: time(entry.updated)?,
    };
    let stamp = Stamp { updated: time(entry.stamp_updated)?, hot: entry.stamp_hot };
    let version = ObjectVersion::new(&entry.version).map_err(|_| Garbled("a version that is none"))?;
    let object = to_body(entry.object.ok_or(Garbled("an entry without its object"))?);
    let kept = Kept {
        by: keeper,
        since_read: Duration::from_millis(entry.read_ms_ago),
        order: entry.read_order,
        since_confirmed: Duration::from_millis(entry.confirmed_ms_ago),
    };
    Ok(Entry::mirrored(version, attributes, stamp, object, kept, said))
}

/// A refusal as it travels at `now`.
pub fn of_refused(asked: ReadAt, now: Instant) -> v1::RefusedObject {
    let ms_ago = milliseconds(now.saturating_duration_since(asked.instant));
    v1::RefusedObject { ms_ago, order: asked.order() }
}

/// As it was meant, having been said by `keeper` at `said`.
pub fn to_refused(refused: v1::RefusedObject, keeper: Keeper, said: Instant) -> Result<ReadAt, Garbled> {
    let asked = said.checked_sub(Duration::from_millis(refused.ms_ago)).ok_or(Garbled("a time that is none"))?;
    Ok(ReadAt::told(asked, keeper, refused.order))
}

fn of_body(object: &Object) -> Body {
    match object {
        Object::Secret(value) => Body::Secret(value.expose().to_vec()),
        Object::Certificate(certificate) => Body::Certificate(v1::CertificateParts {
            chain: certificate.chain.clone(),
            root: certificate.root.clone(),
            key: certificate.key.as_ref().map(|key| key.expose().to_vec()),
        }),
        Object::Key(key) => Body::Key(v1::KeyParts { pem: key.pem.clone(), jwk: key.jwk.clone() }),
    }
}

fn to_body(body: Body) -> Object {
    match body {
        Body::Secret(value) => Object::Secret(SecretBytes::new(value)),
        Body::Certificate(v1::CertificateParts { chain, root, key }) => {
            Object::Certificate(Box::new(Certificate { chain, root, key: key.map(SecretBytes::new) }))
        }
        Body::Key(v1::KeyParts { pem, jwk }) => Object::Key(Box::new(PublicKey { pem, jwk })),
    }
}

fn time(seconds: Option<i64>) -> Result<Option<OffsetDateTime>, Garbled> {
    seconds.map(OffsetDateTime::from_unix_timestamp).transpose().map_err(|_| Garbled("a time that is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(seconds).ok()
    }

    fn entry(object: Object, attributes: Attributes, now: Instant) -> Entry {
        let version = ObjectVersion::new(&"c".repeat(32)).unwrap();
        let stamp = Stamp { updated: at(1_700_000_001), hot: true };
        let (since_read, since_confirmed) = (Duration::from_millis(90_000), Duration::from_millis(1_500));
        Entry::mirrored(
            version,
            attributes,
            stamp,
            object,
            Kept { by: Keeper::SELF, since_read, since_confirmed, order: 0 },
            now,
        )
    }

    fn objects() -> [Object; 5] {
        let certificate = |root: Option<&str>, key: Option<&str>| {
            Object::Certificate(Box::new(Certificate {
                chain: "chain".to_owned(),
                root: root.map(str::to_owned),
                key: key.map(SecretBytes::from),
            }))
        };
        [
            Object::Secret(SecretBytes::from("kwcanary-value")),
            Object::Secret(SecretBytes::new([0xff, 0, 0x80])),
            certificate(None, None),
            certificate(Some("root"), Some("kwcanary-key")),
            Object::Key(Box::new(PublicKey { pem: "pem".to_owned(), jwk: "{}".to_owned() })),
        ]
    }

    fn same(one: &Object, other: &Object) -> bool {
        match (one, other) {
            (Object::Secret(one), Object::Secret(other)) => one == other,
            (Object::Certificate(one), Object::Certificate(other)) => {
                (&one.chain, &one.root, &one.key) == (&other.chain, &other.root, &other.key)
            }
            (Object::Key(one), Object::Key(other)) => one == other,
            _ => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_object_arrives_as_it_was_sent_and_no_younger() {
        let now = Instant::now() + Duration::from_secs(3_600);
        let some =
            Attributes { not_before: at(-1), expires: at(0), created: at(1_700_000_000), updated: at(1_700_000_001) };
        for (object, attributes) in objects().into_iter().zip([some, Attributes::default(), some, some, some]) {
            let sent = entry(object, attributes, now);
            let later = now + Duration::from_secs(60);
            let arrived = to_entry(Some(of_entry(&sent, now)), Keeper::SELF, later).unwrap();
            assert_eq!(
                (&arrived.version, arrived.attributes, arrived.stamp),
                (&sent.version, sent.attributes, sent.stamp)
            );
            assert!(same(&arrived.object, &sent.object));
            assert_eq!((arrived.since_read(later), arrived.age(later)), (sent.since_read(now), sent.age(now)));
        }
    }

    #[test]
    fn what_is_no_entry_is_not_made_one() {
        let now = Instant::now();
        let good = of_entry(&entry(Object::Secret(SecretBytes::from("kwcanary")), Attributes::default(), now), now);
        let spoilt: [fn(&mut v1::ObjectEntry); 4] = [
            |entry| entry.object = None,
            |entry| entry.version = "latest".to_owned(),
            |entry| entry.created = Some(i64::MAX),
            |entry| entry.stamp_updated = Some(i64::MIN),
        ];
        for spoil in spoilt {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert!(to_entry(Some(bad), Keeper::SELF, now).is_err());
        }
        assert!(to_entry(None, Keeper::SELF, now).is_err());
        assert!(to_entry(Some(v1::ObjectEntry { read_ms_ago: u64::MAX, ..good }), Keeper::SELF, now).is_ok());
    }
}
