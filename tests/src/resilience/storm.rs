//! A vault that throttles: what reaches it inside the pauses that it asks for, and what cached reads notice of it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures::future::{try_join, try_join_all};
use tokio::time::sleep;
use tonic::Code;

use super::shop::{Asker, LOOK_EVERY, Shop, reference};
use crate::vault::{CallRecord, Rule};

/// How long, and how many ask at once.
#[derive(Clone, Copy, Debug)]
pub struct Storm<'a> {
    /// The vault. Its last object is not cached; all others are.
    pub vault: &'a str,
    /// How many of its objects are used.
    pub used: usize,
    /// For how long each of calm and storm is measured.
    pub lasts: Duration,
    /// What the vault asks for in `Retry-After`.
    pub pause: Duration,
    /// Askers of cached objects at a time.
    pub askers: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Weathered {
    /// Cached reads before the storm, each.
    pub calm: Vec<Duration>,
    /// Cached reads in the storm, each.
    pub stormy: Vec<Duration>,
    /// How often the vault answered 429.
    pub throttled: usize,
    /// Calls that came inside a pause: in milliseconds after the 429 that began it.
    pub inside: Vec<u128>,
    /// Requests for the object that is not cached which were told to come again.
    pub told_to_wait: usize,
}

/// Runs calm, storm and the end of it. Any failure of a cached read is an error.
pub async fn run(shop: &Shop, storm: Storm<'_>) -> anyhow::Result<Weathered> {
    let asker = shop.asker("checkout-1").await?;
    asker.warm(storm.vault, storm.used - 1).await?;
    shop.refresh().await?;
    let cold = shop.asker("checkout-2").await?;
    let (calm, _) = load(shop, storm, None).await?;

    let emulator = &shop.stand.emulator;
    emulator.reset_calls();
    // `Retry-After` is in whole seconds.
    emulator.faults().arm(Rule::throttle(1, Some(storm.pause.as_secs())).vault(storm.vault).until_lifted())?;
    // One request alone hears of it first: none of the others is under way then.
    shop.refresh().await?;
    let (stormy, told_to_wait) = load(shop, storm, Some(&cold)).await?;
    let calls = emulator.calls();
    ensure!(calls.forgotten() == 0, "the call log is too short for this");
    let calls: Vec<_> = calls.log().iter().filter(|call| call.vault == storm.vault).collect();
    emulator.faults().clear();
    comes_back(&cold, storm).await?;

    let throttled: Vec<_> = calls.iter().filter(|call| call.status == Some(429)).collect();
    let inside = throttled.iter().flat_map(|by| calls.iter().filter_map(|call| after(by, call, storm.pause)));
    Ok(Weathered { calm, stormy, throttled: throttled.len(), inside: inside.collect(), told_to_wait })
}

/// How long after `by`, where that is within the pause that `by` was answered with.
fn after(by: &CallRecord, call: &CallRecord, pause: Duration) -> Option<u128> {
    let since = call.at.checked_duration_since(by.at)?;
    // The pause begins with the answer: a little after `by` arrived.
    (Duration::ZERO < since && since < pause).then_some(since.as_millis())
}

/// Cached reads for a while, and how long each took; beside them, `cold` asks for what is not cached, and is told to
/// come again so many times.
async fn load(shop: &Shop, storm: Storm<'_>, cold: Option<&Asker>) -> anyhow::Result<(Vec<Duration>, usize)> {
    let over = AtomicBool::new(false);
    let askers = try_join_all((0..storm.askers).map(|n| cached(shop, storm, n, &over)));
    let ends = async {
        let mut told_to_wait = 0;
        let began = Instant::now();
        while began.elapsed() < storm.lasts {
            if let Some(cold) = cold {
                let name = reference(storm.vault, storm.used - 1);
                let refused = cold.ask(&[name]).await.err();
                ensure!(refused.as_ref().is_some_and(asks_again), "not told to come again: {refused:?}");
                told_to_wait += 1;
            }
            sleep(LOOK_EVERY).await;
        }
        over.store(true, Ordering::Relaxed);
        Ok(told_to_wait)
    };
    let (times, told_to_wait) = try_join(askers, ends).await?;
    Ok((times.concat(), told_to_wait))
}

fn asks_again(status: &tonic::Status) -> bool {
    status.code() == Code::Unavailable && status.metadata().contains_key(keyward_proto::RETRY_AFTER_METADATA)
}

async fn cached(shop: &Shop, storm: Storm<'_>, n: usize, over: &AtomicBool) -> anyhow::Result<Vec<Duration>> {
    let asker = shop.asker(&format!("reader-{n}")).await?;
    let names: Vec<_> = (0..10.min(storm.used - 1)).map(|n| reference(storm.vault, n)).collect();
    let mut times = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        asker.ask(&names).await?;
        times.push(began.elapsed());
        // As pods would: not as fast as one can.
        sleep(Duration::from_millis(2)).await;
    }
    Ok(times)
}

/// What could not be read during the storm can be after it.
async fn comes_back(cold: &Asker, storm: Storm<'_>) -> anyhow::Result<()> {
    let name = [reference(storm.vault, storm.used - 1)];
    let until = Instant::now() + storm.pause + Duration::from_secs(30);
    while let Err(status) = cold.ask(&name).await {
        ensure!(Instant::now() < until, "after the storm: {status}");
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}
