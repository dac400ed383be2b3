//! One collection of a vault: objects by name, each with its versions, some of them deleted and recoverable. Pure.

use std::collections::BTreeMap;

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

    /// When it was deleted.
    pub(super) fn deleted_at(&self) -> Option<i64> {
        self.deleted_at
    }
}

impl<B> Shelf<B> {
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
        let fresh = || Item { name: name.to_owned(), managed, versions: Vec::new(), deleted_at: None };
        self.items.entry(name.to_ascii_lowercase()).or_insert_with(fresh).versions.push(version);
    }

    /// A live object.
    pub(super) fn get(&self, name: &str) -> Result<&Item<B>, ShelfError> {
        self.items.get(&name.to_ascii_lowercase()).filter(|item| item.deleted_at.is_none()).ok_or(ShelfError::Missing)
    }

    /// A live object's version, to change it.
    pub(super) fn version_mut(&mut self, name: &str, id: Option<&str>) -> Result<&mut Version<B>, ShelfError> {
        let item = self.items.get_mut(&name.to_ascii_lowercase()).filter(|item| item.deleted_at.is_none());
        let versions = &mut item.ok_or(ShelfError::Missing)?.versions;
        let found = match id {
            None => versions.last_mut(),
            Some(id) => versions.iter_mut().find(|version| version.id == id),
        };
        found.ok_or(ShelfError::Missing)
    }

    /// A deleted object.
    pub(super) fn get_deleted(&self, name: &str) -> Result<&Item<B>, ShelfError> {
        self.items.get(&name.to_ascii_lowercase()).filter(|item| item.deleted_at.is_some()).ok_or(ShelfError::Missing)
    }

    /// Live objects by name.
    pub(super) fn live(&self) -> impl Iterator<Item = (&String, &Item<B>)> {
        self.items.iter().filter(|(_, item)| item.deleted_at.is_none())
    }

    /// Deleted objects by name.
    pub(super) fn deleted(&self) -> impl Iterator<Item = (&String, &Item<B>)> {
        self.items.iter().filter(|(_, item)| item.deleted_at.is_some())
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
        assert_eq!(shelf.live().count() + shelf.deleted().count(), 0);
    }

    #[test]
    fn an_owner_keeps_others_out() {
        let shelf = shelf();
        assert_eq!(shelf.admits("name", true), Err(ShelfError::Managed));
    }
}
