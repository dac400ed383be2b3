//! A broker that holds so many objects: what a cached read costs beside the echo server, and what an object costs in memory.

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::time::sleep;

use super::{
    Programs,
    beside::{Beside, Reads},
};
use crate::{
    bench::{
        echo::{self, Payload},
        load::Client,
        rounds::Round,
    },
    footprint::{Memory, SETTLING},
    resilience::shop::{Building, Shop, Vault, reference},
};

pub(super) const VAULT: &str = "acme";
/// Everything is read at once; how a budget would spread that is measured elsewhere.
pub(super) const BUDGET: &str = "40000";
/// No poll falls into the measured rounds.
pub(super) const INTERVAL: &str = "pollInterval: 1h";

/// With so many objects in memory.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cached {
    /// How many.
    pub objects: usize,
    /// Rounds over connections that are kept.
    pub kept: Vec<Round>,
    /// Rounds with a connection for each request.
    pub fresh: Vec<Round>,
    /// Calls that reached the vault meanwhile.
    pub vault_calls: u64,
    /// Bytes in memory without any `AzureKeyVaultSecret`.
    pub empty: u64,
    /// With all of them, before the first read.
    pub declared: u64,
    /// With all objects, after a poll.
    pub held: u64,
}

impl Cached {
    /// What one object takes in memory, its part of the poll's state included.
    pub fn bytes_of_object(&self) -> u64 {
        self.held.saturating_sub(self.declared) / self.objects.max(1) as u64
    }

    /// What one `AzureKeyVaultSecret` takes in memory.
    pub fn bytes_of_secret(&self) -> u64 {
        self.declared.saturating_sub(self.empty) / self.objects.max(1) as u64
    }
}

/// Fills a broker with `objects` and measures it.
pub async fn run(programs: &Programs, objects: usize, reads: Reads, payload: Payload) -> anyhow::Result<Cached> {
    let alone = open(programs, objects, 0, payload).await?;
    let empty = memory(&alone)?;
    alone.stand.broker.stop().await?;

    let shop = open(programs, objects, objects, payload).await?;
    sleep(SETTLING).await;
    let declared = memory(&shop)?;
    shop.asker("checkout-1").await?.warm_by(VAULT, objects, payload.values).await?;
    let polled = shop.refresh().await?;
    ensure!(polled.iter().all(|vault| vault.error.is_empty()), "a poll failed: {polled:?}");
    sleep(SETTLING).await;
    let held = memory(&shop)?;

    let echo = echo::start(&programs.echo, &shop.stand.directory().join("broker-tls"), payload).await?;
    let broker = shop.stand.broker.id().context("the broker has ended")?;
    let names: Vec<_> = (0..objects).map(|n| reference(VAULT, n)).collect();
    let token = shop.token("checkout-2")?;
    let client = |address| Client::asking(names.clone(), address, &shop.stand.ca.cert_pem(), &token, payload);
    let clients = [client(shop.stand.grpc)?, client(echo.address())?];
    let bench = Beside { processes: [vec![broker], vec![echo.id()]], clients, reads };
    shop.stand.emulator.reset_calls();
    let open = [bench.clients[0].open(reads.connections).await?, bench.clients[1].open(reads.connections).await?];
    bench.rounds(Some(&open), 1).await.context("warm-up")?;
    let kept = bench.rounds(Some(&open), reads.rounds).await.context("connections kept")?;
    drop(open);
    bench.rounds(None, 1).await.context("warm-up")?;
    let fresh = bench.rounds(None, reads.rounds).await.context("a connection for each request")?;
    let vault_calls = shop.stand.emulator.calls().total();
    shop.stand.broker.stop().await?;
    Ok(Cached { objects, kept, fresh, vault_calls, empty, declared, held })
}

async fn open(programs: &Programs, objects: usize, used: usize, payload: Payload) -> anyhow::Result<Shop> {
    let vault = Vault { name: VAULT, secrets: objects, used, settings: INTERVAL };
    let environment = [("KEYWARD_VAULT_BUDGET", BUDGET)];
    Shop::open(Building {
        bytes: payload.bytes,
        secrets_in_a_file: 1_000,
        environment: &environment,
        broker: Some(programs.broker.clone()),
        ..Building::of(&[vault])
    })
    .await
}

fn memory(shop: &Shop) -> anyhow::Result<u64> {
    Ok(Memory::of(shop.stand.broker.id().context("the broker has ended")?)?.resident)
}
