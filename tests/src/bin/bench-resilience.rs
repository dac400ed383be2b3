//! `cargo bench-resilience`; see `keyward_tests::resilience`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use keyward_tests::{
    bench::release,
    resilience::{
        changes::{self, Changes},
        shop::{Building, Shop, Vault},
        storm::{self, Storm},
        times::{milliseconds, percentile},
    },
};

const INTERVAL: Duration = Duration::from_secs(1);
/// A change is seen within the interval and this.
const SLACK: Duration = Duration::from_secs(1);
const VAULT: Vault<'_> = Vault { name: "acme", secrets: 25, used: 25, settings: "pollInterval: 1s" };

/// Measures when changes are seen, and what cached reads notice of a vault that throttles. Exit code 1 when a change is
/// seen late or a call comes inside a pause
#[derive(Parser)]
#[command(name = "cargo bench-resilience", bin_name = "cargo bench-resilience")]
struct Args {
    /// Seconds that calm and storm last, each
    #[arg(long, default_value_t = 10)]
    storm_seconds: u64,
    /// Who reads what is cached, at once
    #[arg(long, default_value_t = 8)]
    askers: usize,
    /// Decides about the moments of changes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The broker's program; built for release when not given
    #[arg(long)]
    broker: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure(Args::parse()).await {
        Ok(within) => ExitCode::from(u8::from(!within)),
        Err(error) => fail(&error),
    }
}

async fn measure(args: Args) -> anyhow::Result<bool> {
    let Args { storm_seconds, askers, seed, broker } = args;
    let broker = match broker {
        Some(program) => program,
        None => release::broker().await?,
    };
    let open = || Shop::open(Building { broker: Some(broker.clone()), ..Building::of(&[VAULT]) });
    let seen_in_time = changed(&open().await?, seed).await?;
    let left_alone = stormy(&open().await?, Duration::from_secs(storm_seconds), askers).await?;
    Ok(seen_in_time && left_alone)
}

#[allow(clippy::print_stdout, reason = "this is a program for people")]
async fn changed(shop: &Shop, seed: u64) -> anyhow::Result<bool> {
    let plan = Changes { vault: VAULT.name, objects: VAULT.used, each: 4, apart: 2 * INTERVAL, seed };
    let seen = changes::run(shop, plan).await?;
    let delays: Vec<_> = seen.iter().map(|seen| seen.delay).collect();
    let in_time = delays.iter().filter(|delay| **delay <= INTERVAL + SLACK).count();
    let [p50, p99, most] = [50, 99, 100].map(|percent| milliseconds(percentile(&delays, percent)));
    println!("changes: {in_time} of {} seen within {:?}, polling each {INTERVAL:?}", delays.len(), INTERVAL + SLACK);
    println!("         seen after {p50} (p50), {p99} (p99), {most} (the last)");
    Ok(in_time == delays.len())
}

#[allow(clippy::print_stdout, reason = "this is a program for people")]
async fn stormy(shop: &Shop, lasts: Duration, askers: usize) -> anyhow::Result<bool> {
    let pause = Duration::from_secs(2);
    let plan = Storm { vault: VAULT.name, used: VAULT.used, lasts, pause, askers };
    let weathered = storm::run(shop, plan).await?;
    println!(
        "storm:   {lasts:?} of 429 with Retry-After {pause:?}: {} calls reached the vault, {} of them inside a pause",
        weathered.throttled,
        weathered.inside.len()
    );
    println!("         {} requests for what is not cached were told to come again", weathered.told_to_wait);
    for (when, times) in [("calm", &weathered.calm), ("storm", &weathered.stormy)] {
        let [p50, p99] = [50, 99].map(|percent| milliseconds(percentile(times, percent)));
        println!("         {when:<6} {:>7} cached reads of 10, 0 errors, p50 {p50}, p99 {p99}", times.len());
    }
    Ok(weathered.inside.is_empty())
}

#[allow(clippy::print_stderr, reason = "this is a program for people")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("bench-resilience: {error:#}");
    ExitCode::from(2)
}
