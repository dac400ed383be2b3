//! Which object, and to whom it is news.

use keyward_proto::v1;
use keyward_types::{ObjectKind, ObjectName, ObjectVersion};

use super::Garbled;
use crate::{cache::News, object::ObjectId};

/// As it travels.
pub fn of_object(object: &ObjectId) -> v1::ObjectName {
    let kind = match object.kind {
        ObjectKind::Secret => v1::ObjectType::Secret,
        ObjectKind::Certificate => v1::ObjectType::Certificate,
        ObjectKind::Key => v1::ObjectType::Key,
    };
    v1::ObjectName {
        r#type: kind.into(),
        name: object.name.to_string(),
        version: object.version.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

/// As it was meant.
pub fn to_object(object: Option<v1::ObjectName>) -> Result<ObjectId, Garbled> {
    let object = object.ok_or(Garbled("no object"))?;
    let kind = match object.r#type() {
        v1::ObjectType::Secret => ObjectKind::Secret,
        v1::ObjectType::Certificate => ObjectKind::Certificate,
        v1::ObjectType::Key => ObjectKind::Key,
        v1::ObjectType::Unspecified => return Err(Garbled("an object without a type")),
    };
    let v1::ObjectName { name, version, .. } = object;
    let version = Some(version).filter(|version| !version.is_empty());
    Ok(ObjectId {
        kind,
        name: ObjectName::new(&name).map_err(|_| Garbled("a name that is none"))?,
        version: version
            .map(|version| ObjectVersion::new(&version))
            .transpose()
            .map_err(|_| Garbled("a version that is none"))?,
    })
}

/// As it travels.
pub fn of_news(news: News) -> v1::News {
    match news {
        News::Same => v1::News::Unspecified,
        News::Landed => v1::News::Landed,
        News::Changed => v1::News::Changed,
    }
}

/// As it was meant.
pub fn to_news(news: v1::News) -> News {
    match news {
        v1::News::Unspecified => News::Same,
        v1::News::Landed => News::Landed,
        v1::News::Changed => News::Changed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_arrives_as_it_was_sent() {
        for kind in [ObjectKind::Secret, ObjectKind::Certificate, ObjectKind::Key] {
            for version in [None, Some(ObjectVersion::new(&"a".repeat(32)).unwrap())] {
                let object = ObjectId { kind, name: ObjectName::new("db-password").unwrap(), version };
                assert_eq!(to_object(Some(of_object(&object))), Ok(object));
            }
        }
    }

    #[test]
    fn what_is_no_object_is_not_made_one() {
        let of = |r#type: i32, name: &str, version: &str| {
            to_object(Some(v1::ObjectName { r#type, name: name.into(), version: version.into() }))
        };
        assert!(of(1, "db", "").is_ok());
        for (kind, name, version) in [(0, "db", ""), (9, "db", ""), (1, "../db", ""), (1, "", ""), (1, "db", "x/y")] {
            assert!(of(kind, name, version).is_err(), "{kind} {name} {version}");
        }
        assert!(to_object(None).is_err());
    }

    #[test]
    fn news_arrives_as_it_was_sent() {
        for news in [News::Same, News::Landed, News::Changed] {
            assert_eq!(to_news(of_news(news)), news);
        }
    }
}
