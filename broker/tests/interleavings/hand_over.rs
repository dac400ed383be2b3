//! A swap that goes over two replicas: the owner has the follower hold its readers back, swaps, and lets the follower swap.
//! `broker/src/cache/batch.rs` takes these steps; here whoever takes them may vanish between any two.

use std::{collections::HashSet, sync::Arc};

use shuttle::future::{block_on, spawn};
use tokio::sync::oneshot;

use crate::{swaps::Store, try_orders};

fn both() -> HashSet<Arc<usize>> {
    HashSet::from([Arc::new(0), Arc::new(1)])
}

/// Holds readers back until it is told to go on, or until whoever should tell it is gone.
async fn follow(store: Arc<Store<2>>, ready: oneshot::Sender<()>, go: oneshot::Receiver<()>) {
    let transition = store.transitions.begin(both());
    let _ = ready.send(());
    let _ = go.await;
    store.put(0, 1);
    store.put(1, 1);
    drop(transition);
}

/// Where the owner vanishes: behind its first so many steps.
fn hand_over(steps: usize) {
    let (owner, follower) = (Store::<2>::new(), Store::<2>::new());
    let (ready, is_ready) = oneshot::channel();
    let (go, told) = oneshot::channel();
    let following = spawn(follow(Arc::clone(&follower), ready, told));
    let owning = {
        let owner = Arc::clone(&owner);
        spawn(async move {
            is_ready.await.expect("the follower gets ready");
            if steps >= 1 {
                owner.swap(&[0, 1], 1);
            }
            if steps >= 2 {
                let _ = go.send(());
            }
        })
    };
    // One client, whose requests go to either: with an owner that stays it never sees an older version than before.
    let client = {
        let (owner, follower) = (Arc::clone(&owner), Arc::clone(&follower));
        spawn(async move {
            let mut before = 0;
            for store in [&owner, &follower, &owner, &follower] {
                let [user, password] = store.look().await;
                assert_eq!(user, password, "mixed");
                assert!(steps == 0 || user >= before, "{user} behind {before}");
                before = user;
            }
        })
    };
    for task in [following, owning, client] {
        block_on(task).unwrap();
    }
    assert_eq!(block_on(follower.look()), [1, 1], "what is held goes forward");
}

#[test]
fn a_client_of_two_replicas_never_goes_back_across_a_swap() {
    try_orders(|| hand_over(2));
}

#[test]
fn what_was_held_for_an_owner_that_vanishes_goes_forward() {
    try_orders(|| hand_over(1));
    try_orders(|| hand_over(0));
}
