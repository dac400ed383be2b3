//! One of three goes, in whichever way: another one owns its vaults, nothing is lost, and no vault is asked.

use std::time::{Duration, Instant};

use keyward_tests::{
    fleet::{Fleet, until},
    process::Signal,
};

use super::shop::{VAULTS, ask_for_all, calls, fleet, plan, vaults_down};

/// From the loss to the next owner: 0.9 s of silence, and what a busy machine adds.
const MOVES_WITHIN: Duration = Duration::from_secs(2);

/// Warm, and all that would be asked of vaults from now on is counted.
async fn warm() -> Fleet {
    let fleet = fleet("", 3).await;
    ask_for_all(&fleet.asker(0, "checkout-1").await.unwrap()).await;
    for number in 0..3 {
        ask_for_all(&fleet.asker(number, "checkout-1").await.unwrap()).await;
    }
    fleet.emulator.reset_calls();
    fleet
}

/// Returns when `asked` sees one other, and how long that took since `began`.
async fn until_one_is_missed(fleet: &Fleet, asked: usize, began: Instant) -> Duration {
    until("the loss to be seen", async || Ok(fleet.others(asked).await? == 1)).await.unwrap();
    began.elapsed()
}

#[tokio::test]
async fn when_an_owner_is_killed_another_one_owns_within_a_second_and_no_vault_is_asked() {
    let mut fleet = warm().await;
    let owner = fleet.owner(0, VAULTS[0]).await.unwrap();
    let left: Vec<usize> = (0..3).filter(|number| *number != owner).collect();
    let began = Instant::now();
    fleet.kill(owner).await.unwrap();
    let took = until_one_is_missed(&fleet, left[0], began).await;
    assert!(took < MOVES_WITHIN, "{took:?}");
    for number in &left {
        until("the other one to see it too", async || Ok(fleet.others(*number).await? == 1)).await.unwrap();
        for vault in VAULTS {
            assert!(left.contains(&fleet.owner(*number, vault).await.unwrap()), "{vault}");
        }
        ask_for_all(&fleet.asker(*number, "checkout-1").await.unwrap()).await;
    }
    assert_eq!(calls(&fleet), 0, "{:?}", fleet.emulator.calls().rows());
    // It comes back as another one, and has everything before it is ready.
    fleet.launch(owner).await.unwrap();
    fleet.until_ready(owner).await.unwrap();
    ask_for_all(&fleet.asker(owner, "checkout-1").await.unwrap()).await;
    fleet.until_all_see(2).await.unwrap();
    assert_eq!(calls(&fleet), 0, "{:?}", fleet.emulator.calls().rows());
}

#[tokio::test]
async fn when_an_owner_stands_still_another_one_owns_and_it_may_come_back() {
    let fleet = warm().await;
    let owner = fleet.owner(0, VAULTS[0]).await.unwrap();
    let other = (owner + 1) % 3;
    let began = Instant::now();
    fleet.signal(owner, Signal::STOP).unwrap();
    let took = until_one_is_missed(&fleet, other, began).await;
    assert!(took < MOVES_WITHIN, "{took:?}");
    ask_for_all(&fleet.asker(other, "checkout-1").await.unwrap()).await;
    fleet.signal(owner, Signal::CONT).unwrap();
    fleet.until_all_see(2).await.unwrap();
    ask_for_all(&fleet.asker(owner, "checkout-1").await.unwrap()).await;
    assert_eq!(calls(&fleet), 0, "{:?}", fleet.emulator.calls().rows());
}

#[tokio::test]
async fn what_was_never_asked_for_is_read_by_the_next_owner_while_it_is_waited_for() {
    let fleet = fleet("", 3).await;
    let owner = fleet.owner(0, VAULTS[0]).await.unwrap();
    let other = (owner + 1) % 3;
    let asker = fleet.asker(other, "checkout-1").await.unwrap();
    fleet.signal(owner, Signal::STOP).unwrap();
    // It is asked, is silent, is lost; then another one is asked, or reads the vault itself.
    let value = asker.value(&super::shop::reference(VAULTS[0], 0)).await.unwrap();
    assert!(value == "kwcanary-acme-0-1");
    assert_eq!(calls(&fleet), 1, "{:?}", fleet.emulator.calls().rows());
    fleet.signal(owner, Signal::CONT).unwrap();
}

#[tokio::test]
async fn a_new_replica_has_everything_while_the_vaults_are_down() {
    let mut fleet = Fleet::prepare(plan(""), 3).await.unwrap();
    for number in 0..2 {
        fleet.launch(number).await.unwrap();
        fleet.until_ready(number).await.unwrap();
    }
    ask_for_all(&fleet.asker(0, "checkout-1").await.unwrap()).await;
    vaults_down(&fleet);
    fleet.launch(2).await.unwrap();
    fleet.until_ready(2).await.unwrap();
    ask_for_all(&fleet.asker(2, "checkout-1").await.unwrap()).await;
    assert_eq!(calls(&fleet), 0, "{:?}", fleet.emulator.calls().rows());
}
