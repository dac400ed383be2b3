//! One page of a status: vaults, then cached objects, then refused manifests, so many in all.
//!
//! A page begins after a position and not at a number, so that what changes between two pages repeats nothing. Texts are
//! clipped: the largest page must be one message.

use std::{
    cmp::Ordering,
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use keyward_proto::v1::{self, CachedObject, StatusRequest};
use keyward_types::VaultName;
use tokio::time::Instant;
use tonic::Status;

use crate::{
    cache::{CacheKey, Entry},
    figures::Figures,
    grpc::{errors, milliseconds, timestamp},
    policy::{Declared, Problem, Snapshot, VaultId},
};

const DEFAULT_SIZE: usize = 500;
const MAX_SIZE: usize = 1_000;
const MAX_TOKEN: usize = 1_024;

/// Of one text, in bytes.
const MAX_TEXT: usize = 1_024;

/// The lists, in the order in which they are paged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Vaults,
    Objects,
    Manifests,
}

impl Section {
    const ALL: [(Self, &'static str); 3] = [(Self::Vaults, "v"), (Self::Objects, "o"), (Self::Manifests, "m")];

    fn token(self, position: &str) -> String {
        let letter = Self::ALL.iter().find(|(section, _)| *section == self).map_or("", |(_, letter)| letter);
        format!("{letter}:{position}")
    }
}

/// A page that is being filled.
pub(super) struct Page {
    left: usize,
    after: Option<(Section, String)>,
    last: String,
    more: bool,
}

impl Page {
    pub(super) fn of(request: &StatusRequest) -> Result<Self, Status> {
        let left = match request.page_size as usize {
            0 => DEFAULT_SIZE,
            size => size.min(MAX_SIZE),
        };
        let after = match request.page_token.as_str() {
            "" => None,
            token => {
                Some(position(token).ok_or_else(|| errors::invalid("page_token is not one that this method gave"))?)
            }
        };
        Ok(Self { left, after, last: String::new(), more: false })
    }

    pub(super) fn vaults(
        &mut self,
        snapshot: &Snapshot,
        shown: impl Fn(&VaultName, &Declared) -> v1::Vault,
    ) -> Vec<v1::Vault> {
        let vaults = snapshot.vaults().map(|(name, declared)| (name.to_string(), (name, declared)));
        self.take(Section::Vaults, vaults, |(name, declared)| shown(name, declared))
    }

    pub(super) fn objects(
        &mut self,
        entries: impl Iterator<Item = (Arc<CacheKey>, Arc<Entry>)>,
        figures: &HashMap<Arc<VaultId>, Figures>,
    ) -> Vec<CachedObject> {
        let now = Moment { by_clock: SystemTime::now(), instant: Instant::now() };
        let mut keyed: Vec<_> = entries.map(|(key, entry)| (place(&key), (key, entry))).collect();
        keyed.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.take(Section::Objects, keyed.into_iter(), |(key, entry)| {
            object(&key, &entry, figures.get(&key.vault), &now)
        })
    }

    pub(super) fn problems(&mut self, problems: &[Problem]) -> Vec<v1::InvalidManifest> {
        let numbered = problems.iter().enumerate().map(|(number, problem)| (format!("{number:08}"), problem));
        self.take(Section::Manifests, numbered, |problem| v1::InvalidManifest {
            place: clipped(&problem.place),
            object: clipped(&problem.object),
            reason: clipped(&problem.reason),
        })
    }

    /// The token of the page after this one; empty where there is none.
    pub(super) fn next(self) -> String {
        if self.more { self.last } else { String::new() }
    }

    fn take<T, S>(
        &mut self,
        section: Section,
        items: impl Iterator<Item = (String, T)>,
        shown: impl Fn(T) -> S,
    ) -> Vec<S> {
        let mut taken = Vec::new();
        for (position, item) in items {
            if self.is_passed(section, &position) {
                continue;
            }
            if self.left == 0 {
                self.more = true;
                break;
            }
            self.left -= 1;
            self.last = section.token(&position);
            taken.push(shown(item));
        }
        taken
    }

    fn is_passed(&self, section: Section, position: &str) -> bool {
        self.after.as_ref().is_some_and(|(after, last)| match section.cmp(after) {
            Ordering::Less => true,
            Ordering::Equal => position <= last.as_str(),
            Ordering::Greater => false,
        })
    }
}

fn position(token: &str) -> Option<(Section, String)> {
    let (letter, position) = token.split_once(':').filter(|_| token.len() <= MAX_TOKEN)?;
    let (section, _) = Section::ALL.into_iter().find(|(_, known)| *known == letter)?;
    Some((section, position.to_owned()))
}

/// Where a key stands among all.
fn place(key: &CacheKey) -> String {
    let version = key.object.version.as_ref().map_or("", |version| version.as_str());
    format!("{} {} {} {version}", key.vault.origin, key.object.kind, key.object.name)
}

/// Now, by both clocks.
struct Moment {
    by_clock: SystemTime,
    instant: Instant,
}

fn object(key: &CacheKey, entry: &Entry, figures: Option<&Figures>, now: &Moment) -> CachedObject {
    let age = entry.age(now.instant);
    let stale = figures.map_or(Duration::ZERO, |figures| age.saturating_sub(figures.vault.settings().fresh_for()));
    CachedObject {
        vault: key.vault.origin.to_string(),
        r#type: key.object.kind.to_string(),
        name: key.object.name.to_string(),
        version: entry.version.to_string(),
        pinned: key.object.version.is_some(),
        read_at: now.by_clock.checked_sub(entry.since_read(now.instant)).map(timestamp),
        expires: entry.attributes.expires.map(|expires| timestamp(SystemTime::from(expires))),
        bytes: entry.bytes() as u64,
        confirmed_at: now.by_clock.checked_sub(age).map(timestamp),
        stale_ms: milliseconds(stale),
    }
}

/// A text as long as a status bears.
pub(super) fn clipped(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}
