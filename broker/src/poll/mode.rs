//! List the vault or read each object: whichever takes fewer calls. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Objects on a page, as Key Vault documents it.
const PAGE: u64 = 25;

/// A vault's size is found out again after this: others add and remove objects.
const SIZE_HOLDS: Duration = Duration::from_secs(3_600);

/// A vault that refused to be listed is not asked again for this long: roles seldom change.
const REFUSAL_HOLDS: Duration = Duration::from_secs(600);

/// How a round finds out what has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// By the listing, of at most so many pages. Whether it is longer is not known.
    List {
        /// Beyond it reading each object is cheaper.
        max_pages: u64,
    },
    /// By reading each object.
    Read,
}

/// What earlier rounds learned of one collection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Learned {
    /// How many objects it has, at least, and when that was learned.
    size: Option<(u64, Instant)>,
    refused: Option<Instant>,
}

impl Learned {
    /// How to check objects that it takes `reads` calls to read one by one.
    pub(super) fn choose(&self, reads: u64, now: Instant) -> Choice {
        let since = |at: Instant| now.saturating_duration_since(at);
        // No listing takes fewer calls than one.
        if reads <= 1 || self.list_refused(now) {
            return Choice::Read;
        }
        match self.size {
            Some((size, at)) if since(at) < SIZE_HOLDS && pages(size) > reads => Choice::Read,
            _ => Choice::List { max_pages: reads },
        }
    }

    /// A listing showed `size` objects, or broke off after so many.
    pub(super) fn listed(&mut self, size: u64, now: Instant) {
        *self = Self { size: Some((size, now)), refused: None };
    }

    /// The vault refused to be listed.
    pub(super) fn refuse(&mut self, now: Instant) {
        self.refused = Some(now);
    }

    /// Whether the vault refuses to be listed, as far as is known.
    pub(super) fn list_refused(&self, now: Instant) -> bool {
        self.refused.is_some_and(|at| now.saturating_duration_since(at) < REFUSAL_HOLDS)
    }
}

fn pages(size: u64) -> u64 {
    size.div_ceil(PAGE).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheaper_way_is_chosen_once_the_size_is_known() {
        let now = Instant::now();
        for (size, reads, expected) in [
            (400, 400, Choice::List { max_pages: 400 }),
            (400, 16, Choice::List { max_pages: 16 }),
            (400, 15, Choice::Read),
            (400, 5, Choice::Read),
            (25, 2, Choice::List { max_pages: 2 }),
            (0, 1, Choice::Read),
        ] {
            let mut learned = Learned::default();
            learned.listed(size, now);
            assert_eq!(learned.choose(reads, now), expected, "{reads} of {size}");
        }
    }

    #[test]
    fn an_unknown_size_is_found_out_at_no_more_than_twice_the_cost() {
        let now = Instant::now();
        assert_eq!(Learned::default().choose(5, now), Choice::List { max_pages: 5 });
        let mut learned = Learned::default();
        learned.listed(5 * PAGE + 1, now);
        assert_eq!(learned.choose(5, now), Choice::Read, "it broke off after five pages");
        assert_eq!(learned.choose(5, now + SIZE_HOLDS), Choice::List { max_pages: 5 }, "and is looked at again later");
    }

    #[test]
    fn a_refused_listing_is_left_alone_for_a_while() {
        let now = Instant::now();
        let mut learned = Learned::default();
        learned.refuse(now);
        assert_eq!(learned.choose(400, now), Choice::Read);
        assert_eq!(learned.choose(400, now + REFUSAL_HOLDS), Choice::List { max_pages: 400 });
    }
}
