//! `cargo rotations`; see `keyward_tests::rotation`.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use keyward_tests::rotation::{self, kubelet::Delays, report::Report, served::Rotations};

/// Rotates certificates of tiny lifetimes under calls that never pause, and says what became of the calls. Exit code 1 when
/// one of them failed
#[derive(Parser)]
#[command(name = "cargo rotations", bin_name = "cargo rotations")]
struct Args {
    /// How often the authority is replaced
    #[arg(long, default_value_t = 10)]
    authorities: usize,
    /// How often servers' certificates are, the broker's and the webhook's together
    #[arg(long, default_value_t = 100)]
    certificates: usize,
    /// Decides when the kubelet brings what has changed; at random if absent
    #[arg(long)]
    seed: Option<u64>,
    /// The longest that it takes
    #[arg(long, default_value_t = 1000, value_name = "MILLISECONDS")]
    longest_delay: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { authorities, certificates, seed, longest_delay } = Args::parse();
    let delays =
        Delays { seed: seed.unwrap_or_else(|| fastrand::u64(..)), longest: Duration::from_millis(longest_delay) };
    match rotation::run(Rotations { authorities, leaves: certificates }, delays, false).await {
        Ok(report) => tell(&report, delays),
        Err(error) => fail(&error),
    }
}

#[allow(clippy::print_stdout, reason = "this is a program for people")]
fn tell(report: &Report, Delays { seed, longest }: Delays) -> ExitCode {
    println!("{report} (seed {seed}, kubelet within {longest:?})");
    ExitCode::from(u8::from(report.failures() > 0))
}

#[allow(clippy::print_stderr, reason = "this is a program for people")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("rotations: {error:#}");
    ExitCode::from(2)
}
