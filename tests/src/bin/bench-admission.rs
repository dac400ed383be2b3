//! `cargo bench-admission`; see `keyward_tests::admission`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use keyward_tests::{
    admission::{self, Programs, Workload, bare},
    programs,
};

/// Measures the webhook's admission of pods beside a bare server that reads the same reviews, and its memory after many
/// look-ups of images. Exit code 1 when it takes more than it may
#[derive(Parser)]
#[command(name = "cargo bench-admission", bin_name = "cargo bench-admission", subcommand_negates_reqs = true)]
struct Args {
    #[command(subcommand)]
    server: Option<ServerOnly>,
    /// Rounds that count
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Reviews of a round
    #[arg(long, default_value_t = 5_000)]
    reviews: usize,
    /// Connections, each with one review under way
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Images that are looked up
    #[arg(long, default_value_t = 5_000)]
    images: usize,
    /// Reviews of pods with these images
    #[arg(long, default_value_t = 100_000)]
    lookup_reviews: usize,
    /// The webhook's program; built optimised when one of the two is not given
    #[arg(long)]
    webhook: Option<PathBuf>,
    /// The broker's program
    #[arg(long)]
    broker: Option<PathBuf>,
}

#[derive(Subcommand)]
enum ServerOnly {
    /// The other server, which the benchmark starts itself
    #[command(hide = true)]
    Bare(bare::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    // The first provider wins; there is no other in this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = Args::parse();
    let outcome = match &args.server {
        Some(ServerOnly::Bare(bare)) => bare::serve(bare, say_where).await.map(|()| true),
        None => measure(args).await,
    };
    match outcome {
        Ok(within) => ExitCode::from(u8::from(!within)),
        Err(error) => fail(&error),
    }
}

#[allow(clippy::print_stdout, reason = "this is a program for people")]
async fn measure(args: Args) -> anyhow::Result<bool> {
    let Args { server: _, rounds, reviews, connections, images, lookup_reviews, webhook, broker } = args;
    let (webhook, broker) = match (webhook, broker) {
        (Some(webhook), Some(broker)) => (webhook, broker),
        (webhook, broker) => {
            let built = tokio::task::spawn_blocking(programs::Programs::optimised).await??;
            let or_built = |given: Option<PathBuf>, name| match given {
                Some(program) => Ok(program),
                None => built.path(name).map(Path::to_path_buf),
            };
            (or_built(webhook, "keyward-webhook")?, or_built(broker, "keyward-broker")?)
        }
    };
    let programs = Programs { webhook, broker, bare: std::env::current_exe()? };
    let report = admission::run(&programs, Workload { rounds, reviews, connections, images, lookup_reviews }).await?;
    print!("{report}");
    Ok(report.within_bars())
}

#[allow(clippy::print_stderr, reason = "as the webhook does, in its log")]
fn say_where(address: std::net::SocketAddr) {
    eprintln!("{}", serde_json::json!({ "server": address }));
}

#[allow(clippy::print_stderr, reason = "this is a program for people")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("bench-admission: {error:#}");
    ExitCode::from(2)
}
