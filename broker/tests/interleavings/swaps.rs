//! Whoever looks up several keys sees all of a swap or none of it.

use std::{collections::HashSet, sync::Arc};

use shuttle::{
    future::{block_on, spawn},
    sync::Mutex,
};

use crate::{transitions::Transitions, try_orders};

/// What is held of each key, as in the cache: each is looked up and replaced by itself.
pub(crate) struct Store<const KEYS: usize> {
    held: [Mutex<u32>; KEYS],
    pub(crate) transitions: Transitions<usize>,
}

impl<const KEYS: usize> Store<KEYS> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { held: std::array::from_fn(|_| Mutex::new(0)), transitions: Transitions::default() })
    }

    pub(crate) fn put(&self, key: usize, version: u32) {
        *self.held[key].lock().unwrap() = version;
    }

    pub(crate) fn swap(&self, keys: &[usize], version: u32) {
        let transition = self.transitions.begin(keys.iter().copied().map(Arc::new).collect::<HashSet<_>>());
        for key in keys {
            self.put(*key, version);
        }
        drop(transition);
    }

    /// What is seen of each key as of one moment.
    pub(crate) async fn look(&self) -> [u32; KEYS] {
        let all: [usize; KEYS] = std::array::from_fn(|key| key);
        let look = || async move { std::array::from_fn(|key| *self.held[key].lock().unwrap()) };
        self.transitions.steady(all.into_iter(), look).await.expect("few swaps end soon")
    }
}

#[test]
fn a_look_sees_all_of_each_swap_or_none() {
    try_orders(|| {
        let store = Store::<2>::new();
        let swaps = {
            let store = Arc::clone(&store);
            spawn(async move { (1..=2).for_each(|version| store.swap(&[0, 1], version)) })
        };
        let looks = {
            let store = Arc::clone(&store);
            spawn(async move {
                let mut before = 0;
                for _ in 0..2 {
                    let [user, password] = store.look().await;
                    assert_eq!(user, password, "mixed");
                    assert!(user >= before, "{user} behind {before}");
                    before = user;
                }
            })
        };
        block_on(looks).unwrap();
        block_on(swaps).unwrap();
        assert_eq!(block_on(store.look()), [2, 2]);
    });
}

#[test]
fn swaps_that_overlap_are_each_seen_whole() {
    try_orders(|| {
        // One swaps keys 0 and 1, another one 1 and 2; key 1 is the later one's, whichever that is.
        let store = Store::<3>::new();
        let swap = |keys: &'static [usize], version| {
            let store = Arc::clone(&store);
            spawn(async move { store.swap(keys, version) })
        };
        let (one, other) = (swap(&[0, 1], 1), swap(&[1, 2], 2));
        let looks = {
            let store = Arc::clone(&store);
            spawn(async move {
                for _ in 0..2 {
                    let seen = store.look().await;
                    let right = matches!(seen, [0, 0, 0] | [1, 1, 0] | [0, 2, 2] | [1, 1 | 2, 2]);
                    assert!(right, "{seen:?}");
                }
            })
        };
        for task in [one, other, looks] {
            block_on(task).unwrap();
        }
    });
}
