//! The short form of `cargo faults`: every trouble in every state, each for a moment.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

use keyward_tests::faults::{
    report::Table,
    suite::{self, Length, Played},
};

/// Another one each time, unless one is given: what fails once can be played again.
fn seed() -> u64 {
    std::env::var("KEYWARD_FAULTS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..) >> 16)
}

fn assert_well(played: &Played, seed: u64) {
    assert!(played.failures().is_empty(), "KEYWARD_FAULTS_SEED={seed}\n{}", Table(played));
    assert!(played.refused > 0, "nobody tried to get what is not theirs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_with_a_vault_no_promise_is_broken() {
    let seed = seed();
    assert_well(&suite::of_vault(1, Length::SHORT, seed).await.unwrap(), seed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_around_a_broker_no_promise_is_broken() {
    let seed = seed();
    assert_well(&suite::of_stage(1, Length::SHORT, seed).await.unwrap(), seed);
}
