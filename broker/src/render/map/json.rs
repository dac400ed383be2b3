//! A flat JSON object, RFC 8259.

use std::fmt;

use keyward_types::SecretBytes;
use serde::{
    Deserialize,
    de::{MapAccess, Visitor},
};
use serde_json::{error::Category, value::RawValue};
use zeroize::Zeroizing;

use super::MapError;

/// The entries in the order they are written, duplicates and all.
pub(super) fn entries(text: &str) -> Result<Vec<(String, SecretBytes)>, MapError> {
    let Unread(entries) = serde_json::from_str(text).map_err(|error| refusal(&error))?;
    entries.into_iter().enumerate().map(|(index, (key, raw))| Ok((key, scalar(raw.get(), index + 1)?))).collect()
}

/// A number's text is its value: reading it as a number first would lose digits.
fn scalar(raw: &str, entry: usize) -> Result<SecretBytes, MapError> {
    match raw.as_bytes().first() {
        Some(b'"') => {
            let text: Zeroizing<String> =
                serde_json::from_str(raw).map(Zeroizing::new).map_err(|error| refusal(&error))?;
            Ok(text.as_str().into())
        }
        Some(b'{' | b'[') => Err(MapError::Nested(entry)),
        Some(b'n') => Err(MapError::Null(entry)),
        _ => Ok(raw.into()),
    }
}

fn refusal(error: &serde_json::Error) -> MapError {
    match error.classify() {
        Category::Data => MapError::NotMap("JSON"),
        Category::Io | Category::Syntax | Category::Eof => {
            MapError::Syntax { format: "JSON", line: error.line() as u64, column: error.column() as u64 }
        }
    }
}

/// Keys, and values not looked into.
struct Unread<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Unread<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Unread<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Unread(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
