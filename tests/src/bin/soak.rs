//! `cargo soak`; see `keyward_tests::faults::soak`.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use keyward_tests::faults::soak::{self, Soak};

/// Three brokers under steady load, and one trouble after the other as chance will have it; every answer is checked, and whether
/// anything was left behind. Exit code 1 when a promise was broken
#[derive(Parser)]
#[command(name = "cargo soak", bin_name = "cargo soak")]
struct Args {
    /// For how long
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Brokers
    #[arg(long, default_value_t = 3)]
    replicas: usize,
    /// Vaults
    #[arg(long, default_value_t = 6)]
    vaults: usize,
    /// Decides about all that is left to chance; at random if absent
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { minutes, replicas, vaults, seed } = Args::parse();
    let seed = seed.unwrap_or_else(|| fastrand::u64(..) >> 16);
    let lasts = Duration::from_secs(60 * minutes);
    match soak::run(Soak { lasts, replicas: replicas.max(1), vaults: vaults.max(1), seed }).await {
        Ok(soaked) => {
            tell(&format!("seed {seed}\n{soaked}"));
            ExitCode::from(u8::from(!soaked.breaches.is_empty()))
        }
        Err(error) => fail(&error, seed),
    }
}

#[allow(clippy::print_stdout, reason = "this is a program for people")]
fn tell(text: &str) {
    print!("{text}");
}

#[allow(clippy::print_stderr, reason = "this is a program for people")]
fn fail(error: &anyhow::Error, seed: u64) -> ExitCode {
    eprintln!("soak: {error:#} (seed {seed})");
    ExitCode::from(2)
}
