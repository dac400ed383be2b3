//! The same by Keyward: a broker that holds nothing, a controller that has just been started, and
//! `AzureKeyVaultSecret`s that wait for it.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DynamicObject, ListParams, PostParams},
};

use super::{OBJECTS, akvs, clear, for_each, name, value, vault_of};
use crate::{
    requests::Counted,
    scene::Scene,
    shop::secrets_of_vaults,
    stand::{LOAD_VAULTS, Stand},
    wait::until_true,
};

/// The longest that one round may take.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) struct Measured {
    /// From the start of the controller's process to the last condition.
    pub(super) took: Duration,
    /// Objects read from vaults.
    pub(super) reads: u64,
    /// The controller's memory then.
    pub(super) memory: u64,
    /// The most it ever had.
    pub(super) peak: u64,
    /// Writes while every vault was checked three times.
    pub(super) idle_writes: u64,
    /// What the controller asked the API server.
    pub(super) requests: String,
}

pub(super) async fn run(scene: &Scene) -> anyhow::Result<Measured> {
    let stand = scene.stand().await?;
    stand.stop_controllers().await?;
    stand.kill_broker().await?;
    let vaults: Vec<String> = (0..LOAD_VAULTS).map(|number| format!("load-{number}")).collect();
    let admitted: Vec<&str> = vaults.iter().map(String::as_str).collect();
    let namespace = scene.namespace("keyward", &admitted).await?;
    prepare(scene, stand, &namespace).await?;
    stand.broker().await?;

    let (calls, audit) = (reads(stand), scene.audit()?);
    let began = Instant::now();
    stand.controller(0).await?;
    let all = async || Ok(ready(stand).await? >= OBJECTS as u64);
    until_true("all synced", PATIENCE, all).await?;
    let took = began.elapsed();
    let reads = reads(stand) - calls;
    verify(scene, &namespace).await?;
    let mut requests = BTreeMap::<String, usize>::new();
    for request in audit.requests()?.into_iter().filter(|request| request.account == "keyward-controller") {
        *requests.entry(format!("{} {}", request.verb, request.resource)).or_default() += 1;
    }
    let requests = requests.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ");

    let idle_writes = idle_writes(scene, stand).await?;
    let pid = stand.controller_pid(0).await.context("the controller is gone")?;
    let (memory, peak) = (resident(pid, "VmRSS:")?, resident(pid, "VmHWM:")?);
    stand.stop_controllers().await?;
    clear(scene, &namespace).await?;
    Ok(Measured { took, reads, memory, peak, idle_writes, requests })
}

async fn prepare(scene: &Scene, stand: &Stand, namespace: &str) -> anyhow::Result<()> {
    for number in 0..OBJECTS {
        stand.vault(&vault_of(number))?.set_secret(&name(number), &value(number))?;
    }
    let api = secrets_of_vaults(scene.client(), namespace);
    for_each(async |number| {
        let object: DynamicObject = serde_json::from_value(akvs(namespace, number))?;
        api.create(&PostParams::default(), &object).await.map(drop).context("creating")
    })
    .await
}

/// How many are ready, by the controller's own gauge: asking the API server again and again would be part of what is
/// measured.
async fn ready(stand: &Stand) -> anyhow::Result<u64> {
    let metrics = stand.controller_metrics(0).await?;
    let count = metrics.lines().find_map(|line| line.strip_prefix("keyward_secrets{ready=\"true\"} "));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, written as a float")]
    Ok(count.and_then(|count| count.parse::<f64>().ok()).map_or(0, |count| count as u64))
}

fn reads(stand: &Stand) -> u64 {
    let is_read = |vault: &str, operation: &str, status: u16| {
        vault.starts_with("load-") && operation == "SecretGet" && status == 200
    };
    stand.emulator.calls().matching(|call| is_read(&call.vault, &call.operation, call.status))
}

/// Every Secret is there with its own value.
async fn verify(scene: &Scene, namespace: &str) -> anyhow::Result<()> {
    let secrets: Api<Secret> = Api::namespaced(scene.client().clone(), namespace);
    let all = secrets.list(&ListParams::default()).await?.items;
    let held: BTreeMap<String, Vec<u8>> =
        all.into_iter().filter_map(|secret| Some((secret.metadata.name?, secret.data?.remove("value")?.0))).collect();
    for number in 0..OBJECTS {
        let right = held.get(&name(number)).is_some_and(|held| held == value(number).as_bytes());
        ensure!(right, "{} is missing or wrong", name(number));
    }
    Ok(())
}

/// Writes of resources that the controller has to do with, while every vault is compared three times.
async fn idle_writes(scene: &Scene, stand: &Stand) -> anyhow::Result<u64> {
    scene.until_no_namespace_ends().await?;
    let before = Counted::now(scene.client()).await?;
    for _ in 0..3 {
        stand.refresh_as_operator().await?;
    }
    let since = Counted::now(scene.client()).await?.since(&before);
    Ok(["secrets", "configmaps", "azurekeyvaultsecrets", "events"].iter().map(|resource| since.writes(resource)).sum())
}

fn resident(pid: u32, field: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such line")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
