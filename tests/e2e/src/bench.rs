//! What syncing costs, side by side in one run on one API server: a bare client that writes as many Secrets, statuses and
//! events, and Keyward from empty to all synced. `cargo bench-sync`.
//!
//! | room | does |
//! |---|---|
//! | `bare` | the writes alone, as fast as this client can |
//! | `keyward` | the same by controller and broker, and what it took |

mod bare;
mod keyward;
pub mod start;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};

use crate::{
    scene::{Scene, World},
    shop::secrets_of_vaults,
    stand::LOAD_VAULTS,
    wait::{SOON, until_true},
};

/// Objects, spread evenly over the vaults at default settings.
const OBJECTS: usize = 2_000;
/// Requests at a time, of the bare client and where the bench itself prepares something.
const CONCURRENT: usize = 48;
/// Bytes of a value.
const BYTES: usize = 200;
/// The bar: Keyward's time by the bare client's.
const MAX_RATIO: f64 = 1.5;
/// The bar: memory of the controller that has synced everything.
const MAX_MEMORY: u64 = 64 << 20;
/// Rounds of both, alternating; the ratio is of their medians.
const ROUNDS: usize = 3;

/// Measures, prints, and says whether every bar was met.
pub async fn run(world: Arc<World>) -> anyhow::Result<bool> {
    let scene = Scene::new(world);
    let outcome = measure(&scene).await;
    let ended = scene.end().await;
    let good = outcome?;
    ended?;
    Ok(good)
}

#[allow(clippy::print_stdout, reason = "that is what it is for")]
async fn measure(scene: &Scene) -> anyhow::Result<bool> {
    // The definitions are installed with it, which the bare client needs too.
    scene.stand().await?;
    let (mut alone, mut synced) = (Vec::new(), Vec::new());
    let mut last = None;
    for round in 1..=ROUNDS {
        let bare = bare::run(scene).await?;
        let keyward = keyward::run(scene).await?;
        println!(
            "round {round}: bare client {:.1} s, Keyward {:.1} s; vault reads {}, memory {:.1} MiB (peak {:.1})",
            bare.as_secs_f64(),
            keyward.took.as_secs_f64(),
            keyward.reads,
            mebibytes(keyward.memory),
            mebibytes(keyward.peak)
        );
        println!("         API requests of the controller: {}", keyward.requests);
        println!("         writes over three checks of every vault, nothing changed: {}", keyward.idle_writes);
        alone.push(bare);
        synced.push(keyward.took);
        last = Some(keyward);
    }
    let ratio = median(synced).as_secs_f64() / median(alone).as_secs_f64();
    println!("\n{OBJECTS} AzureKeyVaultSecrets over {LOAD_VAULTS} vaults, medians of {ROUNDS} interleaved rounds");
    let Some(keyward) = last else { return Ok(false) };
    let mut good = true;
    for (what, value, bar, met) in [
        ("time by the bare client's", format!("{ratio:.2}"), format!("{MAX_RATIO}"), ratio <= MAX_RATIO),
        (
            "controller's memory",
            format!("{:.1} MiB", mebibytes(keyward.memory)),
            format!("{:.0} MiB", mebibytes(MAX_MEMORY)),
            keyward.memory <= MAX_MEMORY,
        ),
        ("vault reads", keyward.reads.to_string(), OBJECTS.to_string(), keyward.reads == OBJECTS as u64),
        ("writes while nothing changes", keyward.idle_writes.to_string(), "0".to_owned(), keyward.idle_writes == 0),
    ] {
        println!("{} {what}: {value} (bar {bar})", if met { "ok  " } else { "MISS" });
        good &= met;
    }
    Ok(good)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Does `one` for every number, so many at a time.
async fn for_each<F: Future<Output = anyhow::Result<()>>>(one: impl Fn(usize) -> F) -> anyhow::Result<()> {
    stream::iter(0..OBJECTS).map(one).buffer_unordered(CONCURRENT).try_collect().await
}

/// Deletes what was made in a namespace, and returns when it is gone: the next to be measured must not share the API
/// server with that. The garbage collector would take minutes over the Secrets.
async fn clear(scene: &Scene, namespace: &str) -> anyhow::Result<()> {
    let client = scene.client();
    let resources = secrets_of_vaults(client, namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    resources.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    secrets.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    let one = ListParams::default().limit(1);
    let is_empty = async || {
        let left = resources.list_metadata(&one).await?.items.len() + secrets.list_metadata(&one).await?.items.len();
        Ok(left == 0)
    };
    until_true("all deleted", SOON * 4, is_empty).await
}

fn vault_of(number: usize) -> String {
    format!("load-{}", number % LOAD_VAULTS)
}

/// The `AzureKeyVaultSecret` number `number`, with an output.
fn akvs(namespace: &str, number: usize) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "spv.no/v2beta1", "kind": "AzureKeyVaultSecret",
        "metadata": {"name": name(number), "namespace": namespace},
        "spec": {
            "vault": {"name": vault_of(number), "object": {"name": name(number), "type": "secret"}},
            "output": {"secret": {"name": name(number), "dataKey": "value"}},
        },
    })
}

fn name(number: usize) -> String {
    format!("secret-{number:05}")
}

fn value(number: usize) -> String {
    let marked = format!("kwcanary-{number}-");
    format!("{marked}{}", "x".repeat(BYTES.saturating_sub(marked.len())))
}
