//! Which operation a method and a path mean. Pure; forgiving where the SDKs need it: trailing and doubled slashes, any
//! case of the collection, percent-encoding.

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::errors::Refusal;
use super::names::{Collection, is_object_name};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    List,
    ListVersions,
    ListDeleted,
    Get,
    GetDeleted,
    GetPending,
    GetPolicy,
    Set,
    Create,
    Import,
    Update,
    UpdatePolicy,
    Delete,
    Recover,
    Purge,
}

impl Action {
    /// As Key Vault's audit log says it after the noun.
    fn verb(self) -> &'static str {
        match self {
            Self::List => "List",
            Self::ListVersions => "ListVersions",
            Self::ListDeleted => "ListDeleted",
            Self::Get => "Get",
            Self::GetDeleted => "GetDeleted",
            Self::GetPending => "PendingGet",
            Self::GetPolicy => "PolicyGet",
            Self::Set => "Set",
            Self::Create => "Create",
            Self::Import => "Import",
            Self::Update => "Update",
            Self::UpdatePolicy => "PolicySet",
            Self::Delete => "Delete",
            Self::Recover => "Recover",
            Self::Purge => "Purge",
        }
    }
}

/// An operation on an object, or on a collection where `name` is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) collection: Collection,
    pub(super) action: Action,
    pub(super) name: String,
    /// Absent: the current one.
    pub(super) version: Option<String>,
}

impl Route {
    /// `SecretGet`, `CertificateCreate`, and so on.
    pub(super) fn operation(&self) -> String {
        format!("{}{}", self.collection.noun(), self.action.verb())
    }
}

/// Finds the operation.
pub(super) fn route(method: &Method, path: &str) -> Result<Route, Refusal> {
    let decoded: Vec<String> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let Some((first, rest)) = segments.split_first() else {
        return Err(no_such_path(path));
    };
    let first = first.to_ascii_lowercase();
    for collection in Collection::ALL {
        let found = if first == collection.path() {
            live(collection, method, rest)
        } else if first == collection.deleted_path() {
            deleted(method, rest)
        } else {
            continue;
        };
        let (action, version) = found.ok_or_else(|| not_offered(method, &segments))?;
        let name = (*rest.first().unwrap_or(&"")).to_owned();
        if !name.is_empty() && !is_object_name(&name) {
            return Err(Refusal::bad_parameter("The request URI contains an invalid name."));
        }
        return Ok(Route { collection, action, name, version });
    }
    Err(no_such_path(path))
}

type Found = Option<(Action, Option<String>)>;

fn live(collection: Collection, method: &Method, rest: &[&str]) -> Found {
    let action = match (method.as_str(), rest) {
        ("GET", []) => Action::List,
        ("GET", [_]) => Action::Get,
        ("PUT", [_]) if collection == Collection::Secrets => Action::Set,
        ("PUT", [_]) if collection == Collection::Keys => Action::Import,
        ("PATCH", [_]) => Action::Update,
        ("DELETE", [_]) => Action::Delete,
        ("GET", [_, "versions"]) => Action::ListVersions,
        ("POST", [_, "create"]) if collection != Collection::Secrets => Action::Create,
        ("POST", [_, "import"]) if collection == Collection::Certificates => Action::Import,
        ("GET", [_, "pending"]) if collection == Collection::Certificates => Action::GetPending,
        ("GET", [_, "policy"]) if collection == Collection::Certificates => Action::GetPolicy,
        ("PATCH", [_, "policy"]) if collection == Collection::Certificates => Action::UpdatePolicy,
        (_, [_, "pending" | "backup" | "rotationpolicy"]) => return None,
        ("GET", [_, version]) => return Some((Action::Get, Some((*version).to_owned()))),
        ("PATCH", [_, version]) => return Some((Action::Update, Some((*version).to_owned()))),
        _ => return None,
    };
    Some((action, None))
}

fn deleted(method: &Method, rest: &[&str]) -> Found {
    let action = match (method.as_str(), rest) {
        ("GET", []) => Action::ListDeleted,
        ("GET", [_]) => Action::GetDeleted,
        ("DELETE", [_]) => Action::Purge,
        ("POST", [_, "recover"]) => Action::Recover,
        _ => return None,
    };
    Some((action, None))
}

fn no_such_path(path: &str) -> Refusal {
    Refusal::new(axum::http::StatusCode::NOT_FOUND, "ResourceNotFound", format!("No resource at {path}."))
}

fn not_offered(method: &Method, segments: &[&str]) -> Refusal {
    Refusal::not_offered(&format!("{method} /{}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_sdks_mean_what_they_mean_to_key_vault() {
        for (method, path, operation, name, version) in [
            ("GET", "/secrets", "SecretList", "", None),
            ("GET", "//secrets/", "SecretList", "", None),
            ("GET", "/secrets/a/", "SecretGet", "a", None),
            ("GET", "/Secrets/db%2Dpassword", "SecretGet", "db-password", None),
            ("GET", "/secrets/a/0123", "SecretGet", "a", Some("0123")),
            ("GET", "/secrets/a/versions", "SecretListVersions", "a", None),
            ("PUT", "/secrets/a", "SecretSet", "a", None),
            ("PATCH", "/secrets/a/", "SecretUpdate", "a", None),
            ("PATCH", "/secrets/a/0123", "SecretUpdate", "a", Some("0123")),
            ("DELETE", "/secrets/a", "SecretDelete", "a", None),
            ("GET", "/deletedsecrets", "SecretListDeleted", "", None),
            ("POST", "/deletedsecrets/a/recover", "SecretRecover", "a", None),
            ("DELETE", "/deletedkeys/a", "KeyPurge", "a", None),
            ("PUT", "/keys/a", "KeyImport", "a", None),
            ("POST", "/keys/a/create", "KeyCreate", "a", None),
            ("POST", "/certificates/a/create", "CertificateCreate", "a", None),
            ("POST", "/certificates/a/import", "CertificateImport", "a", None),
            ("GET", "/certificates/a/pending", "CertificatePendingGet", "a", None),
            ("PATCH", "/certificates/a/policy", "CertificatePolicySet", "a", None),
        ] {
            let found = route(&method.parse().unwrap(), path).unwrap();
            assert_eq!(found.operation(), operation, "{method} {path}");
            assert_eq!((found.name.as_str(), found.version.as_deref()), (name, version), "{method} {path}");
        }
    }

    #[test]
    fn other_paths_and_bad_names_are_refused() {
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/nothing"),
            ("PUT", "/certificates/a"),
            ("POST", "/secrets/a/backup"),
            ("POST", "/keys/a/0123/sign"),
            ("GET", "/secrets/a%2Fb"),
            ("GET", "/secrets/a.b"),
        ] {
            assert!(route(&method.parse().unwrap(), path).is_err(), "{method} {path}");
        }
    }
}
