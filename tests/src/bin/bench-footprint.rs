//! `cargo bench-footprint`; see `keyward_tests::footprint`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use keyward_tests::{
    bench::release,
    footprint::{self, Workload},
};

/// Measures what the broker takes while it holds many objects and nobody asks: memory and processor time. Exit code 1
/// when either is more than it may be
#[derive(Parser)]
#[allow(clippy::doc_markdown, reason = "the comments become the text of --help")]
#[command(name = "cargo bench-footprint", bin_name = "cargo bench-footprint")]
struct Args {
    /// Objects, each with its AzureKeyVaultSecret
    #[arg(long, default_value_t = 10_000)]
    objects: usize,
    /// Bytes of each value
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// AzureKeyVaultSecrets in a file of manifests
    #[arg(long, default_value_t = 1_000)]
    secrets_in_a_file: usize,
    /// Seconds without a request
    #[arg(long, default_value_t = 120)]
    idle_seconds: u64,
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

#[allow(clippy::print_stdout, reason = "this is a program for people")]
async fn measure(args: Args) -> anyhow::Result<bool> {
    let Args { objects, bytes, secrets_in_a_file, idle_seconds, broker } = args;
    let broker = match broker {
        Some(program) => program,
        None => release::broker().await?,
    };
    let idle = Duration::from_secs(idle_seconds);
    let report = footprint::run(Workload { objects, bytes, secrets_in_a_file, idle, broker }).await?;
    print!("{report}");
    Ok(report.within_bars())
}

#[allow(clippy::print_stderr, reason = "this is a program for people")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("bench-footprint: {error:#}");
    ExitCode::from(2)
}
