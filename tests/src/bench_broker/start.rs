//! Everybody starts at once: each client has a connection of its own and asks for one object of every vault. Once through a
//! cold broker, then without it, past the vaults' own limit.

use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use fastrand::Rng;
use futures::{StreamExt as _, stream};
use keyward_proto::v1::{Reference, ResolveRequest, secrets_client::SecretsClient};
use serde::Serialize;
use tokio::time::{sleep, timeout};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::Endpoint,
};

use super::{
    Programs,
    direct::{Direct, Wanted},
};
use crate::{
    faults::cast::delay,
    resilience::shop::{Building, Shop, Vault, object, reference},
    vault::{CallReport, ProjectedToken},
};

/// What Key Vault answers to one vault in ten seconds.
const LIMIT: usize = 4_000;

/// The launcher's deadline.
const DEADLINE: Duration = Duration::from_secs(120);

/// Who starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// How many.
    pub clients: usize,
    /// How many of them are the real launcher, in a process of its own.
    pub processes: usize,
    /// Under way at a time: a cluster starts its pods as fast as its nodes can.
    pub at_once: usize,
    /// Vaults, and objects of each.
    pub vaults: usize,
    /// Of each vault.
    pub objects: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// When each that had all its values had them, in milliseconds after the start; in order.
    pub done: Vec<u64>,
    /// How many gave up.
    pub failed: usize,
    /// How many asked more than once.
    pub again: usize,
    /// Until the last was done with, in milliseconds.
    pub took: u64,
    /// Objects that vaults gave.
    pub reads: u64,
    /// Challenges that vaults answered with.
    pub challenges: u64,
    /// Calls that vaults refused because there were too many.
    pub throttled: u64,
    /// Tokens that were asked for.
    pub tokens: u64,
}

/// Both ways.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Starts {
    /// What was asked.
    pub start: Start,
    /// Through the broker.
    pub broker: Started,
    /// Without it.
    pub direct: Started,
}

/// Starts everybody, twice.
pub async fn run(programs: &Programs, start: Start) -> anyhow::Result<Starts> {
    let names: Vec<String> = (0..start.vaults).map(|n| format!("vault-{n}")).collect();
    let of_name = |name| Vault { name, secrets: start.objects, used: start.objects, settings: "" };
    let vaults: Vec<_> = names.iter().map(|name| of_name(name.as_str())).collect();
    let building = Building { limit: Some(LIMIT), broker: Some(programs.broker.clone()), ..Building::of(&vaults) };
    let shop = Arc::new(Shop::open(building).await?);
    let broker = through_the_broker(programs, &shop, &names, start).await?;
    let direct = directly(&shop, &names, start).await?;
    Ok(Starts { start, broker, direct })
}

/// The object of each vault that client `n` wants.
fn place(start: Start, n: usize) -> usize {
    n % start.objects.max(1)
}

async fn through_the_broker(
    programs: &Programs,
    shop: &Arc<Shop>,
    vaults: &[String],
    start: Start,
) -> anyhow::Result<Started> {
    let endpoint = shop.endpoint(None)?.connect_timeout(Duration::from_secs(3));
    let every = start.clients.checked_div(start.processes).unwrap_or(usize::MAX);
    let mut launches = Vec::new();
    for n in 0..start.clients {
        let names = vaults.iter().map(|vault| reference(vault, place(start, n))).collect();
        let pod = format!("checkout-{n}");
        launches.push(if n % every == 0 && n / every < start.processes {
            let token = shop.stand.write_token(&ProjectedToken::for_pod("shop", "checkout", &pod))?;
            Launch::Process { token, names }
        } else {
            let authorization = format!("Bearer {}", shop.token(&pod)?).parse()?;
            Launch::Client { endpoint: Box::new(endpoint.clone()), authorization, names }
        });
    }
    shop.stand.emulator.reset_calls();
    let began = Instant::now();
    let running = launches.into_iter().zip(0..).map(|(launch, seed)| {
        let (shop, launcher) = (Arc::clone(shop), programs.launcher.clone());
        tokio::spawn(async move {
            let tries = launch.run(&shop, &launcher, Rng::with_seed(seed)).await;
            (began.elapsed(), tries)
        })
    });
    let ended: Vec<_> = stream::iter(running).buffer_unordered(start.at_once).collect().await;
    let mut started = Started { took: millis(began.elapsed()), ..Started::default() };
    for one in ended {
        match one? {
            (at, Ok(tries)) => {
                started.done.push(millis(at));
                started.again += usize::from(tries > 1);
            }
            (_, Err(_)) => started.failed += 1,
        }
    }
    Ok(started.counted(&shop.stand.emulator.calls()))
}

async fn directly(shop: &Shop, vaults: &[String], start: Start) -> anyhow::Result<Started> {
    let direct = Direct::of(&shop.stand.emulator)?;
    let wanted: Vec<Vec<Wanted>> = (0..start.objects.max(1))
        .map(|n| {
            let of_vault = |vault: &String| Wanted { vault: shop.stand.emulator.vault_url(vault), name: object(n) };
            vaults.iter().map(of_vault).collect()
        })
        .collect();
    let wanted = Arc::new(wanted);
    shop.stand.emulator.reset_calls();
    let began = Instant::now();
    let running = (0..start.clients).map(|n| {
        let (direct, wanted) = (direct.clone(), Arc::clone(&wanted));
        tokio::spawn(async move {
            let ended = direct.start(&wanted[place(start, n)], &mut Rng::with_seed(n as u64)).await;
            (began.elapsed(), ended)
        })
    });
    let ended: Vec<_> = stream::iter(running).buffer_unordered(start.at_once).collect().await;
    let mut started = Started { took: millis(began.elapsed()), ..Started::default() };
    for one in ended {
        match one? {
            (at, Ok(())) => started.done.push(millis(at)),
            (_, Err(_)) => started.failed += 1,
        }
    }
    Ok(started.counted(&shop.stand.emulator.calls()))
}

impl Started {
    fn counted(mut self, calls: &CallReport) -> Self {
        self.done.sort_unstable();
        let of_vaults = |status| calls.matching(|call| call.vault != "entra" && call.status == status);
        [self.reads, self.challenges, self.throttled] = [200, 401, 429].map(of_vaults);
        self.tokens = calls.matching(|call| call.vault == "entra");
        self
    }
}

/// One pod.
enum Launch {
    /// As the launcher asks, in this process.
    Client { endpoint: Box<Endpoint>, authorization: MetadataValue<Ascii>, names: Vec<String> },
    /// The launcher.
    Process { token: std::path::PathBuf, names: Vec<String> },
}

impl Launch {
    /// How many tries it took; of a process, it is not told.
    async fn run(self, shop: &Shop, launcher: &std::path::Path, mut chance: Rng) -> anyhow::Result<u32> {
        match self {
            Self::Client { endpoint, authorization, names } => {
                let (began, mut tries) = (Instant::now(), 0);
                loop {
                    tries += 1;
                    let left = DEADLINE.saturating_sub(began.elapsed());
                    let asked = timeout(left, resolve(&endpoint, &authorization, &names)).await;
                    let hint = match asked.context("no answer in time")? {
                        Ok(()) => return Ok(tries),
                        Err(hint) => hint,
                    };
                    sleep(delay(tries, hint, chance.f64())).await;
                }
            }
            Self::Process { token, names } => {
                let environment: Vec<(String, String)> = (0..)
                    .zip(names)
                    .map(|(n, name): (u32, String)| (format!("S{n}"), format!("{name}@azurekeyvault")))
                    .collect();
                let environment: Vec<(&str, &str)> =
                    environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let mut command = shop.stand.launcher_of(launcher, &token, &environment, &["/bin/true"]);
                let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().await?;
                ensure!(status.success(), "{status}");
                Ok(1)
            }
        }
    }
}

/// One try; where it brings nothing, how long the broker asked to wait.
async fn resolve(
    endpoint: &Endpoint,
    authorization: &MetadataValue<Ascii>,
    names: &[String],
) -> Result<(), Option<Duration>> {
    let references = names.iter().map(|name| Reference { name: name.clone(), query: None }).collect();
    let mut request = Request::new(ResolveRequest { references, ..ResolveRequest::default() });
    request.metadata_mut().insert("authorization", authorization.clone());
    let channel = endpoint.connect().await.map_err(|_| None)?;
    let answer = SecretsClient::new(channel).resolve(request).await.map_err(|status| {
        let wait = status.metadata().get(keyward_proto::RETRY_AFTER_METADATA)?;
        wait.to_str().ok()?.parse().ok().map(Duration::from_millis)
    })?;
    if answer.into_inner().values.len() == names.len() { Ok(()) } else { Err(None) }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
