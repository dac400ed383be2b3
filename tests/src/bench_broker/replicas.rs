//! Replicas that share: what filling and polling cost the vault, what a cached read costs when all of them are asked, and how long
//! a lost owner is missed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::{
    Programs,
    beside::{Beside, Reads},
    cached::{BUDGET, INTERVAL, VAULT},
    start::millis,
};
use crate::{
    bench::{
        echo::{self, Payload},
        load::Client,
        rounds::Round,
    },
    fleet::{Fleet, until},
    resilience::shop::{Building, Vault, reference},
};

/// Objects in memory.
const OBJECTS: usize = 1_000;

/// With so many of them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// How many.
    pub replicas: usize,
    /// Objects that were asked for at each of them.
    pub objects: usize,
    /// Calls that reached the vault for that.
    pub cold_calls: u64,
    /// And for comparing all of them once.
    pub poll_calls: u64,
    /// Cached reads of all replicas in turn, over connections that are kept, beside as many echo servers; the processor time is that of
    /// all.
    pub kept: Vec<Round>,
    /// From the end of the vault's owner, without a word, until another one owned it, in milliseconds; where there is one.
    pub taken_over: Option<u64>,
    /// Calls that reached the vault meanwhile, and while everything was asked for once more.
    pub calls_after: u64,
}

impl Replicas {
    /// All calls that reached the vault.
    pub fn calls(&self) -> u64 {
        self.cold_calls + self.poll_calls + self.calls_after
    }
}

/// Fills them and measures.
pub async fn run(programs: &Programs, replicas: usize, reads: Reads, payload: Payload) -> anyhow::Result<Replicas> {
    let vaults = [Vault { name: VAULT, secrets: OBJECTS, used: OBJECTS, settings: INTERVAL }];
    let (broker, environment) = (Some(programs.broker.clone()), [("KEYWARD_VAULT_BUDGET", BUDGET)]);
    let building = Building { bytes: payload.bytes, environment: &environment, broker, ..Building::of(&vaults) };
    let mut plan = building.plan()?;
    // The echo server's address: it shows the same certificate.
    plan.names.push("127.0.0.1".to_owned());
    let mut fleet = Fleet::start(plan, replicas).await?;
    building.seed(&fleet.emulator)?;
    fleet.emulator.reset_calls();
    ask_each_for_all(&fleet, 0..replicas).await?;
    let cold_calls = calls(&fleet);
    fleet.emulator.reset_calls();
    let polled = fleet.refresh(0).await?;
    ensure!(polled.iter().all(|vault| vault.error.is_empty()), "a poll failed: {polled:?}");
    let poll_calls = calls(&fleet);
    fleet.emulator.reset_calls();

    let kept = rounds(programs, &fleet, reads, payload).await?;
    let taken_over = if replicas > 1 { Some(take_over(&mut fleet).await?) } else { None };
    let calls_after = calls(&fleet);
    let taken_over = taken_over.map(millis);
    Ok(Replicas { replicas, objects: OBJECTS, cold_calls, poll_calls, kept, taken_over, calls_after })
}

async fn rounds(programs: &Programs, fleet: &Fleet, reads: Reads, payload: Payload) -> anyhow::Result<Vec<Round>> {
    let names: Vec<_> = (0..OBJECTS).map(|n| reference(VAULT, n)).collect();
    let token = fleet.token("checkout-2")?;
    let client = |address| Client::asking(names.clone(), address, &fleet.ca.cert_pem(), &token, payload);
    let (mut processes, mut open, mut echoes) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], Vec::new());
    for number in 0..fleet.count() {
        // As many echo servers: the same requests spread over more processes cost each of them more.
        let echo = echo::start(&programs.echo, &fleet.directory().join("broker-tls"), payload).await?;
        processes[0].push(fleet.process(number)?.id().context("a replica has ended")?);
        processes[1].push(echo.id());
        open[0].push(client(fleet.grpc(number))?.open(reads.connections).await?);
        open[1].push(client(echo.address())?.open(reads.connections).await?);
        echoes.push(echo);
    }
    let clients = [client(fleet.grpc(0))?, client(echoes[0].address())?];
    let open = open.map(|each| each.into_iter().collect());
    let beside = Beside { processes, clients, reads };
    beside.rounds(Some(&open), 1).await.context("warm-up")?;
    beside.rounds(Some(&open), reads.rounds).await
}

/// Kills the vault's owner. How long it takes until another one owns the vault, which has everything then.
async fn take_over(fleet: &mut Fleet) -> anyhow::Result<Duration> {
    let owner = fleet.owner(0, VAULT).await?;
    let left: Vec<usize> = (0..fleet.count()).filter(|number| *number != owner).collect();
    let (asked, others) = (*left.first().context("nobody is left")?, left.len() - 1);
    let began = Instant::now();
    fleet.kill(owner).await?;
    until("another owner", async || Ok(fleet.others(asked).await? == others)).await?;
    let took = began.elapsed();
    ask_each_for_all(fleet, left).await?;
    Ok(took)
}

async fn ask_each_for_all(fleet: &Fleet, replicas: impl IntoIterator<Item = usize>) -> anyhow::Result<()> {
    let names: Vec<_> = (0..OBJECTS).map(|n| reference(VAULT, n)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for number in replicas {
        let asker = fleet.asker(number, "checkout-1").await?;
        for names in names.chunks(keyward_proto::MAX_REFERENCES) {
            asker.ask(names).await?;
        }
    }
    Ok(())
}

/// But for challenges: one for each connection pool, whoever reads.
fn calls(fleet: &Fleet) -> u64 {
    fleet.emulator.calls().matching(|call| call.vault == VAULT && call.status != 401)
}
