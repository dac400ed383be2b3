//! A flat YAML mapping, one document. Aliases are replaced within bounds; merge keys are refused.

use std::{cell::Cell, fmt};

use keyward_types::SecretBytes;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_saphyr::{
    Error, Options,
    options::{DuplicateKeyPolicy, MergeKeyPolicy},
};
use zeroize::Zeroizing;

use super::{MAX_BYTES, MapError};

/// Deep enough for a refusal to say that a value is nested.
const MAX_DEPTH: usize = 16;
const MAX_ALIASES: usize = 1_000;

type Entries = Vec<(String, SecretBytes)>;

/// How far reading has come: the parser's errors say where, but not which entry.
#[derive(Clone, Copy)]
enum Progress {
    Start,
    Key,
    Value(usize),
    Null(usize),
    TooLarge,
}

/// The entries in the order they are written, duplicates and all.
pub(super) fn entries(text: &str) -> Result<Entries, MapError> {
    let progress = Cell::new(Progress::Start);
    serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
        deserializer.deserialize_map(Reader(&progress))
    })
    .map_err(|error| refusal(progress.get(), &error))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_aliases: MAX_ALIASES,
            max_total_scalar_bytes: MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIASES },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
    }
}

fn refusal(progress: Progress, error: &Error) -> MapError {
    match (progress, error) {
        (Progress::Start, Error::Unexpected { .. }) => MapError::NotMap("YAML"),
        (Progress::Value(entry), Error::Unexpected { .. }) => MapError::Nested(entry),
        (Progress::Null(entry), _) => MapError::Null(entry),
        (Progress::TooLarge, _) => MapError::TooLarge,
        _ => {
            let (line, column) = error.location().map_or((0, 0), |location| (location.line(), location.column()));
            MapError::Syntax { format: "YAML", line, column }
        }
    }
}

struct Reader<'a>(&'a Cell<Progress>);

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::new();
        let mut size = 0;
        self.0.set(Progress::Key);
        while let Some(key) = map.next_key::<String>()? {
            let entry = entries.len() + 1;
            self.0.set(Progress::Value(entry));
            let Scalar(value) = map.next_value()?;
            let Some(value) = value else {
                self.0.set(Progress::Null(entry));
                return Err(A::Error::custom("null"));
            };
            size += key.len() + value.len();
            if size > MAX_BYTES {
                self.0.set(Progress::TooLarge);
                return Err(A::Error::custom("too large"));
            }
            entries.push((key, value.as_str().into()));
            self.0.set(Progress::Key);
        }
        Ok(entries)
    }
}

/// A scalar's text as it is written, or null.
struct Scalar(Option<Zeroizing<String>>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<String>::deserialize(deserializer)?.map(Zeroizing::new)))
    }
}
