//! Whether an answer is about the object that was asked for. Pure.
//!
//! A proxy, an emulator or a mistaken private endpoint may answer with another vault's object; a value is accepted only
//! under its own full name.

use azure_core::http::Url;
use keyward_types::{ObjectKind, ObjectName, ObjectVersion};

use crate::vault::{ReadError, origin::Origin};

/// Reads the version out of an answer's `id` (a key's `kid`) and checks all the rest of it.
pub fn version(
    id: Option<&str>,
    vault: &Origin,
    kind: ObjectKind,
    name: &ObjectName,
    pinned: Option<&ObjectVersion>,
) -> Result<ObjectVersion, ReadError> {
    let malformed = |what: &str| ReadError::Malformed(what.to_owned());
    let url = id.and_then(|id| Url::parse(id).ok()).ok_or_else(|| malformed("it has no id"))?;
    if !vault.holds(&url) {
        return Err(malformed("its id is of another vault"));
    }
    let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let [collection, answered, version] = segments[..] else {
        return Err(malformed("its id names no version"));
    };
    if collection != self::collection(kind) || !answered.eq_ignore_ascii_case(name.as_str()) {
        return Err(malformed("its id is of another object"));
    }
    let version = ObjectVersion::new(version).map_err(|_| malformed("its id names no version"))?;
    if pinned.is_some_and(|pinned| *pinned != version) {
        return Err(malformed("its id is of another version"));
    }
    Ok(version)
}

/// Reads the name out of a listed `id` (a key's `kid`), which names no version. `None` for a name that no manifest could
/// name either.
pub(crate) fn listed(id: Option<&str>, vault: &Origin, kind: ObjectKind) -> Result<Option<ObjectName>, ReadError> {
    let malformed = |what: &str| ReadError::Malformed(what.to_owned());
    let url = id.and_then(|id| Url::parse(id).ok()).ok_or_else(|| malformed("it lists something without id"))?;
    let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let [collection, name] = segments[..] else {
        return Err(malformed("it lists an id of another form"));
    };
    if !vault.holds(&url) || collection != self::collection(kind) {
        return Err(malformed("it lists an object of another vault or kind"));
    }
    Ok(ObjectName::new(name).ok())
}

fn collection(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Secret => "secrets",
        ObjectKind::Certificate => "certificates",
        ObjectKind::Key => "keys",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "0123456789abcdef0123456789abcdef";
    const V2: &str = "ffffffffffffffffffffffffffffffff";

    fn check(id: Option<&str>, pinned: Option<&str>) -> Result<String, ReadError> {
        let vault = Origin::parse("https://acme.vault.azure.net").unwrap();
        let name = ObjectName::new("db-password").unwrap();
        let pinned = pinned.map(|version| ObjectVersion::new(version).unwrap());
        version(id, &vault, ObjectKind::Secret, &name, pinned.as_ref()).map(|version| version.to_string())
    }

    #[test]
    fn an_id_of_the_object_yields_its_version() {
        for id in [
            format!("https://acme.vault.azure.net/secrets/db-password/{V1}"),
            format!("https://ACME.vault.azure.net:443/secrets/DB-Password/{}", V1.to_uppercase()),
        ] {
            assert_eq!(check(Some(&id), None).as_deref(), Ok(V1), "{id}");
            assert_eq!(check(Some(&id), Some(V1)).as_deref(), Ok(V1), "{id}");
        }
    }

    #[test]
    fn an_id_of_anything_else_is_refused() {
        for (id, reason) in [
            (None, "it has no id"),
            (Some("secrets/db-password"), "it has no id"),
            (Some("https://evil.vault.azure.net/secrets/db-password/VERSION"), "its id is of another vault"),
            (Some("http://acme.vault.azure.net/secrets/db-password/VERSION"), "its id is of another vault"),
            (Some("https://acme.vault.azure.net:8443/secrets/db-password/VERSION"), "its id is of another vault"),
            (Some("https://acme.vault.azure.net/secrets/other/VERSION"), "its id is of another object"),
            (Some("https://acme.vault.azure.net/keys/db-password/VERSION"), "its id is of another object"),
            (Some("https://acme.vault.azure.net/secrets/db-password"), "its id names no version"),
            (Some("https://acme.vault.azure.net/secrets/db-password/"), "its id names no version"),
            (Some("https://acme.vault.azure.net/secrets/db-password/VERSION/x"), "its id names no version"),
            (Some("https://acme.vault.azure.net/secrets/db-password/latest"), "its id names no version"),
        ] {
            let id = id.map(|id| id.replace("VERSION", V1));
            assert_eq!(check(id.as_deref(), None), Err(ReadError::Malformed(reason.to_owned())), "{id:?}");
        }
    }

    #[test]
    fn a_pinned_version_is_answered_with_no_other() {
        let id = format!("https://acme.vault.azure.net/secrets/db-password/{V2}");
        assert_eq!(check(Some(&id), Some(V1)), Err(ReadError::Malformed("its id is of another version".to_owned())));
    }
}
