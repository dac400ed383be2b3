//! The short form of `cargo faults`: every trouble in every state, each for a moment, for one replica and for three. And what a
//! broker does whose memory is limited.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

use keyward_tests::{
    faults::{
        report::Table,
        suite::{self, Length, Played},
    },
    footprint::Memory,
    resilience::shop::{Building, Shop, Vault, reference},
};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

const REPLICAS: [usize; 2] = [1, 3];

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
    for replicas in REPLICAS {
        assert_well(&suite::of_vault(replicas, Length::SHORT, seed).await.unwrap(), seed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_around_a_broker_no_promise_is_broken() {
    let seed = seed();
    for replicas in REPLICAS {
        assert_well(&suite::of_stage(replicas, Length::SHORT, seed).await.unwrap(), seed);
    }
}

const VAULT: Vault<'_> = Vault { name: "acme", secrets: 400, used: 400, settings: "" };
/// Of one object: all of them together are four times what is cached at most.
const BYTES: usize = 20_000;
const CACHED: (&str, &str) = ("KEYWARD_CACHE_MAX_BYTES", "2097152");
/// What the broker may have beyond what it has when nothing was read.
const ROOM: u64 = 48 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_whose_memory_is_limited_makes_room_and_lives() {
    let environment = [CACHED, ("KEYWARD_VAULT_BUDGET", "40000")];
    let shop =
        Shop::open(Building { bytes: BYTES, environment: &environment, ..Building::of(&[VAULT]) }).await.unwrap();
    let process = shop.stand.broker.id().unwrap();
    let before = Memory::of(process).unwrap().resident;
    let limit = Rlimit { current: Some(data_of(process) + ROOM), maximum: getrlimit(Resource::Data).maximum };
    prlimit(Pid::from_raw(process.cast_signed()), Resource::Data, limit).unwrap();

    let asker = shop.asker("checkout-1").await.unwrap();
    for _ in 0..3 {
        for first in (0..VAULT.used).step_by(20) {
            let names: Vec<_> = (first..first + 20).map(|n| reference(VAULT.name, n)).collect();
            let values = asker.ask(&names).await.unwrap().into_inner();
            let right = |(n, value): (usize, &Vec<u8>)| value.starts_with(format!("kwcanary-{n:05}-").as_bytes());
            assert!((first..).zip(&values).all(right), "a wrong value");
        }
    }
    let cached = shop.metric("keyward_cache_bytes", "").await.unwrap().unwrap();
    // Room is made a moment after it is taken.
    assert!(cached > 0.0 && cached <= 2_097_152.0 * 1.5, "{cached} bytes cached");
    let grown = Memory::of(process).unwrap().resident.saturating_sub(before);
    assert!(grown < ROOM, "{grown} bytes more in memory");
}

/// What `RLIMIT_DATA` counts.
fn data_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}
