//! Vault, object and version names as Key Vault defines them, checked before they are put into any URL.
//!
//! The official SDK puts names into the request path as they are, so `a/../b` would read another object. A value of
//! one of these types can hold no character that means anything to a URL.
//!
//! Source: <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers>

use std::{fmt, sync::Arc};

/// Why a text is no name of its kind. The text is quoted escaped and shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a Key Vault {what}: {rule}")]
pub struct InvalidName {
    what: &'static str,
    rule: &'static str,
    text: String,
}

impl InvalidName {
    fn new(what: &'static str, rule: &'static str, text: &str) -> Self {
        Self { what, rule, text: text.chars().take(64).flat_map(char::escape_debug).collect() }
    }
}

/// A vault's name in lower case, cheap to clone: `^[a-z][a-z0-9-]{1,22}[a-z0-9]$`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VaultName(Arc<str>);

impl VaultName {
    /// Folds to lower case and checks.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        const RULE: &str = "3 to 24 letters, digits and `-`, beginning with a letter, ending with a letter or digit";
        let folded = name.to_ascii_lowercase();
        let bytes = folded.as_bytes();
        let valid = (3..=24).contains(&bytes.len())
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
        if valid { Ok(Self(folded.into())) } else { Err(InvalidName::new("vault name", RULE, name)) }
    }

    /// The name, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An object's name in lower case: `^[0-9a-z-]{1,127}$`. Key Vault compares them without case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(Box<str>);

impl ObjectName {
    /// Folds to lower case and checks.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        const RULE: &str = "1 to 127 letters, digits and `-`";
        let valid =
            (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if valid {
            Ok(Self(name.to_ascii_lowercase().into()))
        } else {
            Err(InvalidName::new("object name", RULE, name))
        }
    }

    /// The name, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A version: 32 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectVersion([u8; 32]);

impl ObjectVersion {
    /// Folds to lower case and checks.
    pub fn new(version: &str) -> Result<Self, InvalidName> {
        match <[u8; 32]>::try_from(version.as_bytes()) {
            Ok(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {
                Ok(Self(digits.map(|digit| digit.to_ascii_lowercase())))
            }
            _ => Err(InvalidName::new("version", "32 hexadecimal digits", version)),
        }
    }

    /// The version, lower case.
    pub fn as_str(&self) -> &str {
        // ASCII digits are UTF-8.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for ObjectVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectVersion").field(&self.as_str()).finish()
    }
}

/// The three kinds of object a vault holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// `/secrets/NAME`
    Secret,
    /// `/certificates/NAME`, with its chain and key in `/secrets/NAME`
    Certificate,
    /// `/keys/NAME`
    Key,
}

impl ObjectKind {
    /// `secret`, `certificate` or `key`: a bounded label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Certificate => "certificate",
            Self::Key => "key",
        }
    }
}

macro_rules! display_as_str {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
display_as_str!(VaultName, ObjectName, ObjectVersion, ObjectKind);

#[cfg(test)]
mod tests {
    use super::*;

    /// What would reach another object, another vault or another query if it were put into a URL as it is.
    const HOSTILE: [&str; 10] = ["a/../b", "a/b", "a?x=1", "a#f", "a.b", "", "a b", "a%2fb", "ä", "a\n"];

    #[test]
    fn names_are_folded_to_one_case() {
        assert_eq!(VaultName::new("Acme-Prod1").unwrap().as_str(), "acme-prod1");
        assert_eq!(ObjectName::new("DB-Password").unwrap().as_str(), "db-password");
        assert_eq!(ObjectVersion::new(&"A1".repeat(16)).unwrap().as_str(), "a1".repeat(16));
    }

    #[test]
    fn hostile_names_are_refused() {
        for text in HOSTILE {
            assert!(VaultName::new(text).is_err(), "vault {text:?}");
            assert!(ObjectName::new(text).is_err(), "object {text:?}");
            assert!(ObjectVersion::new(text).is_err(), "version {text:?}");
        }
    }

    #[test]
    fn lengths_and_edges_follow_key_vault() {
        for bad in ["ab", "1ab", "-ab", "ab-", &"a".repeat(25)] {
            assert!(VaultName::new(bad).is_err(), "{bad}");
        }
        for good in ["abc", "a-1", &"a".repeat(24)] {
            assert!(VaultName::new(good).is_ok(), "{good}");
        }
        assert!(ObjectName::new(&"a".repeat(127)).is_ok());
        assert!(ObjectName::new(&"a".repeat(128)).is_err());
    }

    #[test]
    fn the_error_says_what_was_given_and_what_is_expected() {
        assert_eq!(
            ObjectName::new("a/b").unwrap_err().to_string(),
            "`a/b` is not a Key Vault object name: 1 to 127 letters, digits and `-`"
        );
    }
}
