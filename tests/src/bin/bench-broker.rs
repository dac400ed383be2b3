//! `cargo bench-broker`; see `keyward_tests::bench_broker`.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use keyward_tests::{
    bench::{
        echo::{Payload, ServerOnly},
        release,
    },
    bench_broker::{self, Programs, Workload, beside::Reads, start::Start, write},
    programs,
};

/// Measures the broker: cached reads beside a raw tonic server, memory for each object, a mass start beside clients that go
/// to the vault themselves. Exit code 1 when it takes more than it may
#[derive(Parser)]
#[command(name = "cargo bench-broker", bin_name = "cargo bench-broker", subcommand_negates_reqs = true)]
struct Args {
    #[command(subcommand)]
    server: Option<ServerOnly>,
    /// Objects in memory, once for each number
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000")]
    objects: Vec<usize>,
    /// Replicas, once for each number
    #[arg(long, value_delimiter = ',', default_value = "1,3")]
    replicas: Vec<usize>,
    /// Rounds that count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Requests of a round over connections that are kept
    #[arg(long, default_value_t = 20_000)]
    kept_requests: usize,
    /// Requests of a round with a connection for each
    #[arg(long, default_value_t = 3_000)]
    fresh_requests: usize,
    /// Connections that are kept
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests under way at a time
    #[arg(long, default_value_t = 16)]
    in_flight: usize,
    #[command(flatten)]
    payload: Payload,
    /// Clients of the mass start
    #[arg(long, default_value_t = 5_000)]
    clients: usize,
    /// How many of them are real launchers
    #[arg(long, default_value_t = 200)]
    processes: usize,
    /// How many are under way at a time
    #[arg(long, default_value_t = 500)]
    at_once: usize,
    /// The broker's program; built for release when not given
    #[arg(long)]
    broker: Option<PathBuf>,
    /// Writes the figures into docs/performance.md and docs/performance.svg
    #[arg(long)]
    write: bool,
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
    let Args { server: _, objects, rounds, kept_requests, fresh_requests, connections, in_flight, payload, .. } = args;
    let Args { replicas, clients, processes, at_once, broker, write, json, .. } = args;
    let broker = match broker {
        Some(program) => program,
        None => release::broker().await?,
    };
    let launcher = programs::Programs::build()?.path("keyward-launcher")?.to_owned();
    let programs = Programs { broker, echo: std::env::current_exe()?, launcher };
    let workload = Workload {
        objects,
        replicas,
        reads: Reads { rounds, kept_requests, fresh_requests, connections, in_flight },
        payload,
        start: Start { clients, processes, at_once, vaults: 4, objects: 50 },
    };
    let report = bench_broker::run(&programs, &workload).await?;
    if json {
        println!("{:#}", serde_json::to_value(&report)?);
    } else {
        print!("{report}");
    }
    if write {
        write::write(&report)?;
    }
    Ok(report.over().is_empty())
}

#[allow(clippy::print_stderr, reason = "this is a program for people")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("bench-broker: {error:#}");
    ExitCode::from(2)
}
