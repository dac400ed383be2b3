//! One collection of a vault: objects by name, each with its versions, some of them deleted and recoverable. Pure.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::attributes::{Attributes, Tags};

/// Objects of one kind, by lower-case name.
pub(super) struct Shelf<B> {
    items: BTreeMap<String, Item<B>>,
}

/// An object.
pub(super) struct Item<B> {
    /// As it was first written.
    pub(super) name: String,
    /// A certificate owns it.
    pub(super) managed: bool,
    /// Oldest first; never empty.
    versions: Vec<Version<B>>,
    deleted_at: Option<i64>,
    /// Its current version before it last changed, whether by a newer version or in place.
    before: Option<Version<B>>,
}

/// A version of an object.
#[derive(Clone)]
pub(super) struct Version<B> {
    pub(super) id: String,
    pub(super) attributes: Attributes,
    pub(super) tags: Tags,
    pub(super) body: B,
}

/// Why a shelf refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShelfError {
    /// No such object or version, or not in the state the call needs.
    Missing,
    /// The name belongs to a deleted object.
    Deleted,
    /// The name belongs to a certificate.
    Managed,
}

impl<B> Default for Shelf<B> {
    fn default() -> Self {
        Self { items: BTreeMap::new() }
    }
}

impl<B> Item<B> {
    /// The version that a GET without version answers: the one made last.
    pub(super) fn current(&self) -> Option<&Version<B>> {
        self.versions.last()
    }

    /// A version by id, or the current one.
    pub(super) fn version(&self, id: Option<&str>) -> Option<&Version<B>> {
        match id {
            None => self.current(),
            Some(id) => self.versions.iter().find(|version| version.id == id),
        }
    }

    /// All versions by id. Not by time: Key Vault promises no order, and readers must not rely on one.
    pub(super) fn versions_by_id(&self) -> Vec<&Version<B>> {
        let mut versions: Vec<_> = self.versions.iter().collect();
        versions.sort_by(|a, b| a.id.cmp(&b.id));
        versions
    }

    /// What a list showed of it before it last changed. Of one that never changed, what it shows now.
    pub(super) fn earlier(&self) -> Option<&Version<B>> {
        if self.deleted_at.is_some() { self.current() } else { self.before.as_ref().or(self.current()) }
    }

    /// When it was deleted.
    pub(super) fn deleted_at(&self) -> Option<i64> {
        self.deleted_at
    }
}

impl<B: Clone> Shelf<B> {
    /// Whether a new version may be added, by the owner that `managed` says.
    pub(super) fn admits(&self, name: &str, managed: bool) -> Result<(), ShelfError> {
        match self.items.get(&name.to_ascii_lowercase()) {
            Some(item) if item.deleted_at.is_some() => Err(ShelfError::Deleted),
            Some(item) if item.managed != managed => Err(ShelfError::Managed),
            _ => Ok(()),
        }
    }

    /// Adds a version, which becomes the current one. [`Self::admits`] goes before.
    pub(super) fn add(&mut self, name: &str, managed: bool, version: Version<B>) {
        let fresh = || Item { name: name.to_owned(), managed, versions: Vec::new(), deleted_at: None, before: None };
        let item = self.items.entry(name.to_ascii_lowercase()).or_insert_with(fresh);
        item.before = item.current().cloned();
        item.versions.push(version);
    }

    /// A live object.
    pub(super) fn get(&self, name: &str) -> Result<&Item<B>, ShelfError> {
        self.items.get(&name.to_ascii_lowercase()).filter(|item| item.deleted_at.is_none()).ok_or(ShelfError::Missing)
    }

    /// A live object's version, to change it.
    pub(super) fn version_mut(&mut self, name: &str, id: Option<&str>) -> Result<&mut Version<B>, ShelfError> {
        let item = self.items.get_mut(&name.to_ascii_lowercase()).filter(|item| item.deleted_at.is_none());
        let item = item.ok_or(ShelfError::Missing)?;
        let is_current = |version: &Version<B>| id.is_none_or(|id| id == version.id);
        if let Some(current) = item.current().filter(|version| is_current(version)) {
            item.before = Some(current.clone());
        }
        let found = match id {
            None => item.versions.last_mut(),
            Some(id) => item.versions.iter_mut().find(|version| version.id == id),
        };
        found.ok_or(ShelfError::Missing)
    }

    /// A deleted object.
    pub(super) fn get_deleted(&self, name: &str) -> Result<&Item<B>, ShelfError> {
        self.items.get(&name.to_ascii_lowercase()).filter(|item| item.deleted_at.is_some()).ok_or(ShelfError::Missing)
    }

    /// Objects whose lower-case names come after this one, by name; deleted ones too.
    pub(super) fn after<'a>(
        &'a self,
        name: Option<&str>,
    ) -> impl Iterator<Item = (&'a String, &'a Item<B>)> + use<'a, B> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        self.items.range::<str, _>((from, Bound::Unbounded))
    }

    /// Moves a live object among the deleted.
    pub(super) fn delete(&mut self, name: &str, now: i64) -> Result<(), ShelfError> {
        self.get(name)?;
        self.mark(name, Some(now));
        Ok(())
    }

    /// Brings a deleted object back.
    pub(super) fn recover(&mut self, name: &str) -> Result<(), ShelfError> {
        self.get_deleted(name)?;
        self.mark(name, None);
        Ok(())
    }

    /// Forgets a deleted object.
    pub(super) fn purge(&mut self, name: &str) -> Result<(), ShelfError> {
        self.get_deleted(name)?;
        self.items.remove(&name.to_ascii_lowercase());
        Ok(())
    }

    fn mark(&mut self, name: &str, deleted_at: Option<i64>) {
        if let Some(item) = self.items.get_mut(&name.to_ascii_lowercase()) {
            item.deleted_at = deleted_at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: &str) -> Version<()> {
        Version { id: id.into(), attributes: Attributes::new(0, None), tags: Tags::new(), body: () }
    }

    fn shelf() -> Shelf<()> {
        let mut shelf = Shelf::default();
        shelf.add("Name", false, version("b"));
        shelf.add("NAME", false, version("a"));
        shelf
    }

    #[test]
    fn names_compare_without_case_and_the_last_version_is_current() {
        let shelf = shelf();
        let item = shelf.get("name").unwrap();
        assert_eq!(item.name, "Name");
        assert_eq!(item.current().unwrap().id, "a");
        assert_eq!(item.version(Some("b")).unwrap().id, "b");
        assert!(item.version(Some("c")).is_none());
    }

    #[test]
    fn a_deleted_name_is_taken_until_it_is_recovered_or_purged() {
        let mut shelf = shelf();
        shelf.delete("name", 5).unwrap();
        assert_eq!(shelf.get("name").err(), Some(ShelfError::Missing));
        assert_eq!(shelf.admits("name", false), Err(ShelfError::Deleted));
        assert_eq!(shelf.delete("name", 6), Err(ShelfError::Missing));
        shelf.recover("NAME").unwrap();
        assert_eq!(shelf.recover("name"), Err(ShelfError::Missing));
        assert_eq!(shelf.purge("name"), Err(ShelfError::Missing));
        shelf.delete("name", 7).unwrap();
        shelf.purge("name").unwrap();
        assert_eq!(shelf.admits("name", false), Ok(()));
        assert_eq!(shelf.after(None).count(), 0);
    }

    #[test]
    fn an_owner_keeps_others_out() {
        let shelf = shelf();
        assert_eq!(shelf.admits("name", true), Err(ShelfError::Managed));
    }

    #[test]
    fn objects_after_a_name_are_found_without_those_before() {
        let mut shelf = shelf();
        shelf.add("other", false, version("c"));
        let names = |after| shelf.after(after).map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        assert_eq!(names(None), ["name", "other"]);
        assert_eq!(names(Some("name")), ["other"]);
        assert_eq!(names(Some("nb")), ["other"]);
        assert!(names(Some("other")).is_empty());
    }

    #[test]
    fn what_an_object_was_before_its_last_change_is_remembered() {
        let earlier = |shelf: &Shelf<()>| {
            let version = shelf.items["name"].earlier().unwrap();
            (version.id.clone(), version.attributes.updated)
        };
        let mut shelf = Shelf::default();
        shelf.add("name", false, version("a"));
        assert_eq!(earlier(&shelf), ("a".into(), 0));
        shelf.version_mut("name", None).unwrap().attributes.change(5, None);
        assert_eq!(earlier(&shelf), ("a".into(), 0));
        shelf.add("name", false, version("b"));
        assert_eq!(earlier(&shelf), ("a".into(), 5));
        shelf.version_mut("name", Some("a")).unwrap().attributes.change(9, None);
        assert_eq!(earlier(&shelf), ("a".into(), 5), "a list does not show older versions");
        shelf.delete("name", 10).unwrap();
        assert_eq!(earlier(&shelf).0, "b", "before the deletion it was there");
    }
}
