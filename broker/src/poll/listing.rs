//! A collection's stamps, page by page, as far as they are of use.

use std::collections::{HashMap, HashSet};

use futures::StreamExt as _;
use keyward_types::ObjectName;

use super::plan::Seen;
use crate::{
    budget::Class,
    readers::OpenVault,
    vault::{Collection, Listed, Page, ReadError},
};

/// What a listing came to.
pub(super) enum Listing<'a> {
    /// It was read to its end.
    Whole {
        /// What it says of the objects that were looked for.
        seen: HashMap<&'a ObjectName, Seen>,
        /// How many objects it showed in all.
        size: u64,
    },
    /// It goes on beyond the pages allowed, and shows more objects than this.
    TooLong {
        /// Objects shown.
        size: u64,
    },
}

impl Listing<'_> {
    /// What it says of `name`.
    pub(super) fn seen(&self, name: &ObjectName) -> Seen {
        match self {
            Self::TooLong { .. } => Seen::Unlisted,
            Self::Whole { seen, .. } => seen.get(name).copied().unwrap_or(Seen::Absent),
        }
    }

    /// How many objects it showed.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Whole { size, .. } | Self::TooLong { size } => *size,
        }
    }
}

/// Lists `collection` through the vault's gate and keeps what it says of `wanted`: memory is bounded by what is in use and
/// not by what the vault holds.
pub(super) async fn list<'a>(
    vault: &OpenVault,
    collection: Collection,
    wanted: impl Iterator<Item = &'a ObjectName>,
    max_pages: u64,
) -> Result<Listing<'a>, ReadError> {
    let mut pages = vault.reader().pages(collection);
    let mut seen: HashMap<&ObjectName, Seen> = wanted.map(|name| (name, Seen::Absent)).collect();
    let (mut size, mut links) = (0, HashSet::new());
    for _ in 0..max_pages {
        let permit = vault.gate().admit(Class::ChangeCheck, 1).await?;
        let page = pages.next().await.unwrap_or_else(|| Ok(Page::default()));
        permit.settle(&page);
        let Page { items, next } = page?;
        size += items.len() as u64;
        for Listed { name, enabled, updated } in items {
            if let Some(seen) = seen.get_mut(&name) {
                *seen = Seen::Present { enabled, updated };
            }
        }
        match next {
            None => return Ok(Listing::Whole { seen, size }),
            Some(link) if !links.insert(link) => {
                return Err(ReadError::Malformed("its listing goes round in circles".to_owned()));
            }
            Some(_) => {}
        }
    }
    Ok(Listing::TooLong { size: size + 1 })
}
