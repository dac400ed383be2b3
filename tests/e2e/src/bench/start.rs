//! `cargo bench-start`: what injection adds to a pod's start. The same pod with and without it, one after the other, from
//! just before it is created to its program's first line by the program's own clock. Images are there, the secret is
//! cached, and nothing else starts.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::ensure;
use serde_json::json;

use super::median;
use crate::{
    apps::{Apps, OPT_OUT, POD_SOON, container},
    images::{ENTRYPOINT, PROBE},
    scene::{Scene, World},
    wait::until_true,
};

/// Pairs that count. One more comes before them.
const PAIRS: usize = 20;

/// Measures and prints. There is no bar: what it costs is for people to judge.
pub async fn run(world: Arc<World>) -> anyhow::Result<bool> {
    let scene = Scene::new(world);
    let outcome = measure(&scene).await;
    let ended = scene.end().await;
    outcome?;
    ended?;
    Ok(true)
}

#[allow(clippy::print_stdout, reason = "that is what it is for")]
async fn measure(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for pair in 0..=PAIRS {
        // Whoever comes first in one pair comes second in the next.
        let (alone, injected) = if pair % 2 == 0 {
            let alone = start(&apps, pair, false).await?;
            (alone, start(&apps, pair, true).await?)
        } else {
            let injected = start(&apps, pair, true).await?;
            (start(&apps, pair, false).await?, injected)
        };
        // What is read for the first time is read from the disk.
        if pair > 0 {
            println!("pair {pair}: without {} ms, injected {} ms", alone.as_millis(), injected.as_millis());
            without.push(alone);
            with.push(injected);
        }
    }
    let (without, with) = (median(without), median(with));
    println!("\nfrom the creation of a pod to its program's first line, medians of {PAIRS} interleaved pairs");
    println!("without injection  {:>6} ms", without.as_millis());
    println!("injected           {:>6} ms", with.as_millis());
    println!(
        "added              {:>6} ms, {:.2} times as long",
        with.saturating_sub(without).as_millis(),
        with.as_secs_f64() / without.as_secs_f64()
    );
    Ok(())
}

/// Starts one pod, and takes it away.
async fn start(apps: &Apps<'_>, pair: usize, injected: bool) -> anyhow::Result<Duration> {
    let name = format!("{}-{pair}", if injected { "injected" } else { "alone" });
    let labels = if injected { json!({}) } else { json!({OPT_OUT.0: OPT_OUT.1}) };
    let more = json!({"command": [PROBE], "imagePullPolicy": "IfNotPresent"});
    let spec = json!({"containers": [container("app", ENTRYPOINT, more)]});
    let before = SystemTime::now().duration_since(UNIX_EPOCH)?;
    apps.start_with(&json!({"name": name, "labels": labels}), &spec).await?;
    let report = apps.report(&name, "app").await?;
    report.check(&[("DB", if injected { "kwcanary-db" } else { "db@azurekeyvault" })])?;
    let at = Duration::from_micros(report.at);
    ensure!(at > before, "the program's clock is another");
    apps.delete(&name).await?;
    let gone = async || Ok(apps.pods().get_opt(&name).await?.is_none());
    until_true("the end of a pod", POD_SOON, gone).await?;
    Ok(at.saturating_sub(before))
}
