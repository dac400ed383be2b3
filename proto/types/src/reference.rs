//! The grammar of `NAME@azurekeyvault` and `NAME@azurekeyvault?QUERY`: whole value only, never inside a longer string.
//!
//! NAME is a DNS subdomain (RFC 1123, dots allowed), QUERY is `[A-Za-z_][A-Za-z0-9_.-]*`.

use std::fmt;

/// What marks a value as meant for Keyward.
pub const MARKER: &str = "@azurekeyvault";

const MAX_NAME: usize = 253;
const MAX_QUERY: usize = 253;

/// A reference to (a part of) an object, by the `AzureKeyVaultSecret` that names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    name: String,
    query: Option<String>,
}

/// Why a text that carries the marker is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// NAME breaks RFC 1123.
    #[error(
        "`{0}` is not the name of an AzureKeyVaultSecret: lower-case letters, digits, `-` and `.`, beginning and ending \
         with a letter or digit, at most 253"
    )]
    Name(String),
    /// QUERY is too long or has other characters.
    #[error("`?{0}` is not a query: a letter or `_`, then letters, digits, `_`, `.` and `-`, at most 253")]
    Query(String),
    /// White space follows the marker, as a text block in YAML leaves it.
    #[error("white space follows `{0}@azurekeyvault`; remove it (in YAML, `|-` instead of `|`)")]
    TrailingSpace(String),
}

impl Reference {
    /// Reads a whole environment value. `None`: not meant for Keyward, leave it alone. `Some(Err)`: it ends like a
    /// reference and is not one, so the app would start with a literal; the caller must refuse it.
    ///
    /// A value that merely contains the marker inside a longer text (`user@azurekeyvault.example`) is not a reference.
    pub fn parse(value: &str) -> Option<Result<Self, InvalidReference>> {
        let (name, rest) = value.split_once(MARKER)?;
        match rest.strip_prefix('?') {
            // An empty query asks for the whole, as in akv2k8s.
            Some(query) => Some(Self::new(name, Some(query).filter(|query| !query.is_empty()))),
            None if rest.is_empty() => Some(Self::new(name, None)),
            None if rest.trim().is_empty() => Some(Err(InvalidReference::TrailingSpace(shown(name)))),
            None => None,
        }
    }

    /// Builds a reference from its parts, as they travel on the wire.
    pub fn new(name: &str, query: Option<&str>) -> Result<Self, InvalidReference> {
        if !is_dns_subdomain(name) {
            return Err(InvalidReference::Name(shown(name)));
        }
        if let Some(query) = query.filter(|query| !is_query(query)) {
            return Err(InvalidReference::Query(shown(query)));
        }
        Ok(Self { name: name.to_owned(), query: query.map(str::to_owned) })
    }

    /// The `AzureKeyVaultSecret`'s name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which part of the object, or `None` for the whole.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        f.write_str(MARKER)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

/// Whether `name` is a DNS subdomain as Kubernetes uses it for object names.
pub fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= MAX_NAME && name.split('.').all(is_dns_label)
}

fn is_dns_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
}

fn is_query(query: &str) -> bool {
    let mut bytes = query.bytes();
    query.len() <= MAX_QUERY
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Foreign text as an error may quote it: one line, bounded.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    if text.chars().nth(64).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_values_are_references() {
        for (value, name, query) in [
            ("db@azurekeyvault", "db", None),
            ("team.db-1@azurekeyvault", "team.db-1", None),
            ("db@azurekeyvault?username", "db", Some("username")),
            ("tls@azurekeyvault?tls.key", "tls", Some("tls.key")),
            ("m@azurekeyvault?_with-dash", "m", Some("_with-dash")),
        ] {
            let reference = Reference::parse(value).expect("marked").expect("valid");
            assert_eq!((reference.name(), reference.query()), (name, query), "{value}");
            assert_eq!(reference.to_string(), value);
        }
    }

    #[test]
    fn an_empty_query_asks_for_the_whole() {
        let reference = Reference::parse("db@azurekeyvault?").expect("marked").expect("valid");
        assert_eq!((reference.name(), reference.query()), ("db", None));
        assert!(Reference::new("db", Some("")).is_err());
    }

    #[test]
    fn other_values_are_left_alone() {
        for value in ["", "plain", "db@azure", "azurekeyvault", "me@azurekeyvault.example", "x@azurekeyvault and more"]
        {
            assert_eq!(Reference::parse(value), None, "{value}");
        }
    }

    #[test]
    fn what_only_looks_like_a_reference_is_refused() {
        for value in [
            "@azurekeyvault",
            "DB@azurekeyvault",
            "a b@azurekeyvault",
            "a/../b@azurekeyvault",
            "-a@azurekeyvault",
            "a..b@azurekeyvault",
            "db@azurekeyvault?9",
            "db@azurekeyvault?a b",
            "db@azurekeyvault?a@azurekeyvault",
            "db@azurekeyvault\n",
            " db@azurekeyvault",
        ] {
            assert!(matches!(Reference::parse(value), Some(Err(_))), "{value}");
        }
        let long = format!("{}@azurekeyvault", "a".repeat(254));
        assert!(matches!(Reference::parse(&long), Some(Err(InvalidReference::Name(_)))));
    }

    #[test]
    fn an_error_quotes_foreign_text_in_one_bounded_line() {
        let error = Reference::new(&format!("x\n{}", "y".repeat(500)), None).expect_err("newline").to_string();
        assert!(!error.contains('\n') && error.len() < 300, "{error}");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_printing_returns_what_was_read(value in ".{0,80}(@azurekeyvault(\\?.{0,20})?)?") {
            if let Some(Ok(reference)) = Reference::parse(&value) {
                prop_assert_eq!(reference.to_string(), value.strip_suffix('?').unwrap_or(&value));
            }
        }
    }
}
