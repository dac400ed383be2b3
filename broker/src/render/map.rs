//! The map a `multi-key-value-secret` holds: flat, keys and values text.
//!
//! Numbers and booleans are taken as they are written (`1.10` stays `1.10`), as akv2k8s takes YAML's; null, nested
//! values and a key twice are refused. Parsers' own messages quote what they read, so none is passed on.

mod json;
mod yaml;

use std::{collections::BTreeMap, fmt};

use keyward_crds::akvs::ContentType;
use keyward_types::SecretBytes;

use super::{MAX_BYTES, RenderError};

/// Keys and their values.
pub(super) type DataByKey = BTreeMap<String, SecretBytes>;

/// Why a value is not a map as it should be. Entries are counted from 1; their keys may be part of a secret whose type
/// was mistaken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// The text breaks the syntax of its format.
    #[error("the value is not {format}: line {line}, column {column}")]
    Syntax {
        /// `JSON` or `YAML`.
        format: &'static str,
        /// From 1; 0 where it is not known.
        line: u64,
        /// From 1; 0 where it is not known.
        column: u64,
    },
    /// A list, a text, a number.
    #[error("the value is {0}, but not a map; write one key and value for each entry")]
    NotMap(&'static str),
    /// A map or list as a value.
    #[error("entry {0} of the map is a map or list; only text, numbers and booleans can be values")]
    Nested(usize),
    /// Null as a value.
    #[error("entry {0} of the map is null; give it a value or remove it")]
    Null(usize),
    /// A key twice.
    #[error("entry {0} of the map has the key of an earlier one; remove one of them")]
    Duplicate(usize),
    /// An empty map.
    #[error("the map is empty; store at least one key and value")]
    NoEntry,
    /// Aliases that multiply text.
    #[error("the map is larger than 1 MiB once its aliases are replaced")]
    TooLarge,
}

/// Reads a map.
pub(super) fn parse(value: &SecretBytes, format: ContentType) -> Result<DataByKey, RenderError> {
    let text = value.expose_str().ok_or(RenderError::NotText("a multi-key-value-secret must be"))?;
    let entries = match format {
        ContentType::Json => json::entries(text)?,
        ContentType::Yaml => yaml::entries(text)?,
    };
    Ok(collect(entries)?)
}

fn collect(entries: Vec<(String, SecretBytes)>) -> Result<DataByKey, MapError> {
    let mut map = DataByKey::new();
    let mut size = 0;
    for (index, (key, value)) in entries.into_iter().enumerate() {
        size += key.len() + value.len();
        if size > MAX_BYTES {
            return Err(MapError::TooLarge);
        }
        if map.insert(key, value).is_some() {
            return Err(MapError::Duplicate(index + 1));
        }
    }
    if map.is_empty() { Err(MapError::NoEntry) } else { Ok(map) }
}

/// The first of a map's keys, for an error: only what a reference could ask for, since anything else may be a piece of
/// a value.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyNames(Vec<String>);

impl KeyNames {
    const MOST: usize = 10;
    const LONGEST: usize = 64;

    pub(super) fn of(map: &DataByKey) -> Self {
        let could_be_asked = |key: &&String| {
            key.len() <= Self::LONGEST
                && key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        Self(map.keys().filter(could_be_asked).take(Self::MOST).cloned().collect())
    }
}

impl fmt::Display for KeyNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; it has: {}", self.0.join(", ")) }
    }
}

impl fmt::Debug for KeyNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyNames({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests;
