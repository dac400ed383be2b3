//! `cargo faults`; see `keyward_tests::faults`.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use keyward_tests::faults::{
    report::Table,
    suite::{self, Length, Played},
};

/// Plays every trouble with vaults, networks, programs and clocks in every state of the broker, again and again, and checks
/// every answer. Exit code 1 when a promise was broken
#[derive(Parser)]
#[command(name = "cargo faults", bin_name = "cargo faults")]
struct Args {
    /// Decides about all that is left to chance; at random if absent
    #[arg(long)]
    seed: Option<u64>,
    /// No other turn begins after so many minutes
    #[arg(long, default_value_t = 15)]
    minutes: u64,
    /// Seconds that each trouble lasts
    #[arg(long, default_value_t = 5)]
    lasts: u64,
    /// How many brokers, once for each number
    #[arg(long, value_delimiter = ',', default_value = "1,3")]
    replicas: Vec<usize>,
    /// Stages at a time
    #[arg(long, default_value_t = 4)]
    stages: usize,
    /// Only troubles whose names contain this
    #[arg(long, default_value = "")]
    only: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..) >> 16);
    match play(&args, seed).await {
        Ok(well) => ExitCode::from(u8::from(!well)),
        Err(error) => fail(&error, seed),
    }
}

async fn play(args: &Args, seed: u64) -> anyhow::Result<bool> {
    let began = Instant::now();
    let only: &'static str = args.only.clone().leak();
    let length = Length { lasts: Duration::from_secs(args.lasts), stages: args.stages, only, ..Length::LONG };
    let mut well = true;
    for turn in seed.. {
        for replicas in &args.replicas {
            for played in
                [suite::of_vault(*replicas, length, turn).await?, suite::of_stage(*replicas, length, turn).await?]
            {
                tell(&played, turn);
                well &= played.failures().is_empty();
            }
        }
        if began.elapsed() >= Duration::from_secs(60 * args.minutes) {
            break;
        }
    }
    Ok(well)
}

#[allow(clippy::print_stdout, reason = "this is a program for people")]
fn tell(played: &Played, seed: u64) {
    println!("seed {seed}\n{}", Table(played));
}

#[allow(clippy::print_stderr, reason = "this is a program for people")]
fn fail(error: &anyhow::Error, seed: u64) -> ExitCode {
    eprintln!("faults: {error:#} (seed {seed})");
    ExitCode::from(2)
}
