//! An object as it was read, and how fresh it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use keyward_types::ObjectVersion;
use tokio::time::Instant;

use super::{Keeper, ReadAt};
use crate::{
    milliseconds::milliseconds,
    object::{Attributes, Object, Stamp},
    policy::VaultEntry,
};

/// Memory an entry costs beside its content: key, names, bookkeeping of the cache.
const ENTRY_OVERHEAD: usize = 512;

/// An object as it was read.
#[derive(Debug)]
pub struct Entry {
    /// The version read.
    pub version: ObjectVersion,
    /// Its attributes.
    pub attributes: Attributes,
    /// What the next listing is compared with.
    pub stamp: Stamp,
    /// The object.
    pub object: Object,
    read: ReadAt,
    /// When the vault last said that this still holds: milliseconds after `read`.
    confirmed: AtomicU64,
    keeper: AtomicU32,
}

/// How another replica holds an entry.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Who holds it, and compares it with its vault.
    pub by: Keeper,
    /// How long ago the request began that read it.
    pub since_read: Duration,
    /// Its [`ReadAt::order`] there.
    pub order: i64,
    /// How long ago the vault last said that it holds.
    pub since_confirmed: Duration,
}

/// An entry as it is served at one moment.
#[derive(Clone, Debug)]
pub struct Served {
    /// The object as it was read.
    pub entry: Arc<Entry>,
    /// For how long the vault has been unable to confirm it; `None` while it is fresh.
    pub stale: Option<Duration>,
}

/// Whether an entry may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The vault confirmed it in time.
    Fresh,
    /// The vault should have confirmed it so long ago, and it may still be served.
    Stale(Duration),
    /// It may not be served before the vault has confirmed it.
    TooOld,
}

impl Entry {
    /// Read from the vault by a request that began at `read`.
    pub(super) fn new(
        version: ObjectVersion,
        attributes: Attributes,
        stamp: Stamp,
        object: Object,
        read: ReadAt,
    ) -> Self {
        let keeper = AtomicU32::new(Keeper::SELF.0);
        Self { version, attributes, stamp, object, read, confirmed: AtomicU64::new(0), keeper }
    }

    /// A copy of what another replica holds, and how old that was at `now`.
    pub fn mirrored(
        version: ObjectVersion,
        attributes: Attributes,
        stamp: Stamp,
        object: Object,
        kept: Kept,
        now: Instant,
    ) -> Self {
        // A clock that does not go back so far began with this machine.
        let read = now.checked_sub(kept.since_read).unwrap_or(now);
        let told = ReadAt::told(read, kept.by, kept.order);
        let entry = Self::new(version, attributes, stamp, object, told);
        entry.keep_by(kept.by);
        entry.confirm(read + kept.since_read.saturating_sub(kept.since_confirmed));
        entry
    }

    /// Whose word confirms it.
    pub fn keeper(&self) -> Keeper {
        Keeper(self.keeper.load(Ordering::Relaxed))
    }

    /// From now on it is kept by `keeper`.
    pub fn keep_by(&self, keeper: Keeper) {
        self.keeper.store(keeper.0, Ordering::Relaxed);
    }

    /// When its read began: of two, the later one is what the vault said last.
    pub fn read_at(&self) -> ReadAt {
        self.read
    }

    /// The vault said at `at` that this still holds.
    pub fn confirm(&self, at: Instant) {
        let after = at.saturating_duration_since(self.read.instant);
        self.confirmed.fetch_max(milliseconds(after), Ordering::Relaxed);
    }

    /// How long ago the vault last said that this holds.
    pub fn age(&self, now: Instant) -> Duration {
        let confirmed = Duration::from_millis(self.confirmed.load(Ordering::Relaxed));
        now.saturating_duration_since(self.read.instant).saturating_sub(confirmed)
    }

    /// How long ago its value was last read.
    pub fn since_read(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.read.instant)
    }

    /// Whether it may be served, by its vault's `pollInterval` and `maxStale`.
    pub fn freshness(&self, vault: &VaultEntry, now: Instant) -> Freshness {
        match self.age(now).checked_sub(vault.fresh_for()) {
            None => Freshness::Fresh,
            Some(since) if since <= vault.max_stale => Freshness::Stale(since),
            Some(_) => Freshness::TooOld,
        }
    }

    /// Whether `other` says the same to everybody.
    pub fn same_as(&self, other: &Self) -> bool {
        self.version == other.version && self.attributes == other.attributes
    }

    /// Whether this is certainly of a later version than `other`: stamps are whole seconds.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        let created = self.attributes.created.zip(other.attributes.created);
        self.version != other.version && created.is_some_and(|(own, other)| own > other)
    }

    /// Estimated bytes of memory.
    pub fn bytes(&self) -> usize {
        self.object.weight() + ENTRY_OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use keyward_types::SecretBytes;
    use time::OffsetDateTime;

    use super::*;
    use crate::policy::testing::vault;

    fn entry(version: char, created: i64) -> Entry {
        let created = OffsetDateTime::from_unix_timestamp(created).ok();
        let attributes = Attributes { created, ..Attributes::default() };
        let version = ObjectVersion::new(&version.to_string().repeat(32)).unwrap();
        Entry::new(
            version,
            attributes,
            Stamp::default(),
            Object::Secret(SecretBytes::from("kwcanary")),
            ReadAt::here(Instant::now()),
        )
    }

    #[test]
    fn an_entry_is_fresh_then_stale_then_too_old_and_fresh_again_once_confirmed() {
        let vault = vault("{vaultName: acme, pollInterval: 100s, maxStale: 1h}");
        let entry = entry('a', 0);
        let at = |seconds| entry.read.instant + Duration::from_secs(seconds);
        let fresh = vault.fresh_for().as_secs();
        assert!((125..=140).contains(&fresh), "an interval and its slack: {fresh}");
        for (seconds, expected) in [
            (0, Freshness::Fresh),
            (fresh - 1, Freshness::Fresh),
            (fresh + 60, Freshness::Stale(Duration::from_secs(60))),
            (fresh + 3_600, Freshness::Stale(Duration::from_secs(3_600))),
            (fresh + 3_601, Freshness::TooOld),
        ] {
            assert_eq!(entry.freshness(&vault, at(seconds)), expected, "{seconds}");
        }
        entry.confirm(at(4_000));
        entry.confirm(at(10));
        assert_eq!(entry.freshness(&vault, at(4_001)), Freshness::Fresh);
        assert_eq!(entry.age(at(4_001)).as_secs(), 1, "a late word on an earlier moment takes nothing back");
    }

    #[test]
    fn without_max_stale_nothing_unconfirmed_is_served() {
        let vault = vault("{vaultName: acme, pollInterval: 10s, maxStale: 0s}");
        let entry = entry('a', 0);
        let late = entry.read.instant + vault.fresh_for() + Duration::from_secs(1);
        assert_eq!(entry.freshness(&vault, late), Freshness::TooOld);
    }

    #[test]
    fn only_a_later_creation_makes_a_version_newer() {
        assert!(entry('b', 2).is_newer_than(&entry('a', 1)));
        let undated = Entry { attributes: Attributes::default(), ..entry('c', 0) };
        assert!(!entry('b', 2).is_newer_than(&undated), "who does not say when it was made is not older");
        assert!(!undated.is_newer_than(&entry('b', 2)));
        for (held, read) in [(('b', 1), ('a', 1)), (('a', 1), ('b', 2)), (('a', 2), ('a', 1))] {
            assert!(!entry(held.0, held.1).is_newer_than(&entry(read.0, read.1)), "{held:?} {read:?}");
        }
    }
}
