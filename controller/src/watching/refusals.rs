//! Which watches the API server refuses.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::scope::Place;

/// Places by the plural of what may not be seen there. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<BTreeMap<String, BTreeSet<Place>>>>);

impl Refusals {
    /// In how many places each of what is watched may not be seen.
    pub fn counts(&self) -> Vec<(String, usize)> {
        self.lock().iter().map(|(what, places)| (what.clone(), places.len())).collect()
    }

    /// Whether there is something that may not be seen there.
    pub(crate) fn at(&self, place: &Place) -> bool {
        self.lock().values().any(|places| places.contains(place))
    }

    /// It is watched.
    pub(super) fn know(&self, what: &str) {
        self.lock().entry(what.to_owned()).or_default();
    }

    /// It may not be seen there. Whether that is news: until then everything there was.
    pub(super) fn add(&self, what: &str, place: &Place) -> bool {
        let mut refused = self.lock();
        let is_news = !refused.values().any(|places| places.contains(place));
        refused.entry(what.to_owned()).or_default().insert(place.clone());
        is_news
    }

    /// It may be seen there. Whether that is news: everything may be again.
    pub(super) fn remove(&self, what: &str, place: &Place) -> bool {
        let mut refused = self.lock();
        let was_refused = refused.get_mut(what).is_some_and(|places| places.remove(place));
        was_refused && !refused.values().any(|places| places.contains(place))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<Place>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_once_when_its_first_is_refused_and_once_when_its_last_may_be_seen() {
        let refused = Refusals::default();
        let [shop, bank] = ["shop", "bank"].map(|name| Place::Namespace(name.into()));
        refused.know("secrets");
        refused.know("configmaps");
        for (what, place, is_news) in [
            ("secrets", &shop, true),
            ("configmaps", &shop, false),
            ("secrets", &shop, false),
            ("secrets", &bank, true),
        ] {
            assert_eq!(refused.add(what, place), is_news, "{what} in {place}");
        }
        assert_eq!(refused.counts(), [("configmaps".to_owned(), 1), ("secrets".to_owned(), 2)]);
        for (what, place, is_news) in [
            ("secrets", &shop, false),
            ("secrets", &shop, false),
            ("configmaps", &shop, true),
            ("configmaps", &bank, false),
        ] {
            assert_eq!(refused.remove(what, place), is_news, "{what} in {place}");
        }
        assert_eq!(refused.counts(), [("configmaps".to_owned(), 0), ("secrets".to_owned(), 1)]);
    }
}
