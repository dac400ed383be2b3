//! What the broker takes while it holds many objects and nobody asks. `cargo bench-footprint` runs it.
//!
//! Two brokers: one with a vault and no secret in its manifests, for what is there without any object, and one with all of
//! them, whose memory is looked at before its first read, after it has read everything, after a poll, and after a while of
//! idleness in which its processor time counts.

mod memory;
mod processor;
mod report;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::time::sleep;

pub use memory::Memory;
pub use report::{MAX_IDLE_SHARE, MAX_RSS, Report};

use crate::resilience::shop::{Building, Shop, Vault};

const VAULT: &str = "acme";

/// After the last request, until timers of connections and pools have had their say.
pub const SETTLING: Duration = Duration::from_secs(2);

/// References in a request: about as many as a launcher has.
const REFERENCES: usize = 10;

/// What the broker is to hold.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Objects, each with its `AzureKeyVaultSecret`.
    pub objects: usize,
    /// Bytes of each value.
    pub bytes: usize,
    /// `AzureKeyVaultSecret`s in a file of manifests.
    pub secrets_in_a_file: usize,
    /// How long nobody asks.
    pub idle: Duration,
    /// The broker, as it is shipped.
    pub broker: PathBuf,
}

/// Measures all of it.
pub async fn run(workload: Workload) -> anyhow::Result<Report> {
    let empty = open(&workload, 0).await?;
    let base = Memory::of(process(&empty)?)?;
    empty.stand.broker.stop().await?;

    let shop = open(&workload, workload.objects).await?;
    let process = process(&shop)?;
    let declared = Memory::of(process)?;
    let asker = shop.asker("checkout-1").await?;
    asker.warm_by(VAULT, workload.objects, REFERENCES).await?;
    drop(asker);
    let url = shop.stand.emulator.vault_url(VAULT);
    let held = shop.metric("keyward_vault_objects", &url).await?;
    ensure!(held.is_some_and(|held| held.to_string() == workload.objects.to_string()), "the broker holds {held:?}");
    sleep(SETTLING).await;
    let filled = Memory::of(process)?;
    let polled = shop.refresh().await?;
    ensure!(polled.iter().all(|vault| vault.error.is_empty()), "a poll failed: {polled:?}");
    sleep(SETTLING).await;
    let polled = Memory::of(process)?;

    shop.stand.emulator.reset_calls();
    let idle_cpu = processor::used(process, workload.idle).await?;
    let calls = shop.stand.emulator.calls().total();
    let idled = Memory::of(process)?;
    shop.stand.broker.stop().await?;
    Ok(Report {
        objects: workload.objects,
        base,
        declared,
        filled,
        polled,
        idled,
        idle: workload.idle,
        idle_cpu,
        calls,
    })
}

async fn open(workload: &Workload, used: usize) -> anyhow::Result<Shop> {
    let vault = Vault { name: VAULT, secrets: workload.objects, used, settings: "" };
    // Everything is read at once; how the budget would spread that is no part of this.
    let environment = [("KEYWARD_VAULT_BUDGET", "40000")];
    Shop::open(Building {
        bytes: workload.bytes,
        secrets_in_a_file: workload.secrets_in_a_file,
        environment: &environment,
        broker: Some(workload.broker.clone()),
        ..Building::of(&[vault])
    })
    .await
}

fn process(shop: &Shop) -> anyhow::Result<u32> {
    shop.stand.broker.id().context("the broker has ended")
}
