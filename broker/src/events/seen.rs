//! Which events came before: they are delivered at least once, and whoever recorded one may send it again.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher as _, RandomState},
};

/// Events remembered. One that is older costs its vault one look more, which is bounded anyway.
const MAX: usize = 20_000;

/// The last events. Of each a hash is kept, under a key of this process: nobody outside can make two that share one.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hasher: RandomState,
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Seen {
    /// Whether `id` was not seen before; now it was.
    pub(super) fn is_new(&mut self, id: &(String, String)) -> bool {
        let hash = self.hasher.hash_one(id);
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(source: &str, n: usize) -> (String, String) {
        (source.to_owned(), n.to_string())
    }

    #[test]
    fn an_event_is_new_once_and_its_source_is_part_of_it() {
        let mut seen = Seen::default();
        let asked = [id("a", 1), id("a", 1), id("b", 1), id("a", 2), id("b", 1)];
        assert_eq!(asked.map(|id| seen.is_new(&id)), [true, false, true, true, false]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut seen = Seen::default();
        assert!((0..=MAX).all(|n| seen.is_new(&id("a", n))));
        assert_eq!((seen.known.len(), seen.order.len()), (MAX, MAX));
        assert!(!seen.is_new(&id("a", 1)) && !seen.is_new(&id("a", MAX)));
        assert!(seen.is_new(&id("a", 0)), "it was the oldest");
    }
}
