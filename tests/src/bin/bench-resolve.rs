//! `cargo bench-resolve`; see `keyward_tests::bench`.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use keyward_tests::bench::{
    self, Programs, Workload,
    echo::{Payload, ServerOnly},
    release,
};

/// Measures a cached `Resolve` of the real broker beside a raw tonic server that answers the same. Exit code 1 when the
/// broker costs more than it may
#[derive(Parser)]
#[command(name = "cargo bench-resolve", bin_name = "cargo bench-resolve", subcommand_negates_reqs = true)]
struct Args {
    #[command(subcommand)]
    server: Option<ServerOnly>,
    /// Rounds that count
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Requests of a round over connections that are kept
    #[arg(long, default_value_t = 20_000)]
    kept_requests: usize,
    /// Requests of a round with a connection for each
    #[arg(long, default_value_t = 4_000)]
    fresh_requests: usize,
    /// Connections that are kept
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests under way at a time
    #[arg(long, default_value_t = 16)]
    in_flight: usize,
    #[command(flatten)]
    payload: Payload,
    /// The broker's program; built for release when not given
    #[arg(long)]
    broker: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    // The first provider wins; there is no other in this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = Args::parse();
    let outcome = match args.server {
        Some(server) => server.serve().await.map(|()| true),
        None => measure(args).await,
    };
    match outcome {
        Ok(within) => ExitCode::from(u8::from(!within)),
        Err(error) => fail(&error),
    }
}

#[allow(clippy::print_stdout, reason = "this is a program for people")]
async fn measure(args: Args) -> anyhow::Result<bool> {
    let Args { server: _, rounds, kept_requests, fresh_requests, connections, in_flight, payload, broker, json } = args;
    let broker = match broker {
        Some(program) => program,
        None => release::broker().await?,
    };
    let programs = Programs { broker, echo: std::env::current_exe()? };
    let workload = Workload { rounds, kept_requests, fresh_requests, connections, in_flight, payload };
    let report = bench::run(&programs, workload).await?;
    if json {
        println!("{:#}", report.json());
    } else {
        print!("{report}");
    }
    Ok(report.within_bars())
}

#[allow(clippy::print_stderr, reason = "this is a program for people")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("bench-resolve: {error:#}");
    ExitCode::from(2)
}
