//! `bare-root LAUNCHER PROGRAM`: the launcher in a root directory that holds nothing else. See `keyward_tests::bare_root`;
//! `tests/privileged/run` builds the programs and calls it.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use keyward_tests::bare_root;

/// Runs a static launcher in chroots and reports each case. Needs root.
#[derive(Parser)]
struct Cli {
    /// The launcher, static.
    launcher: PathBuf,
    /// A static program that prints how long `$VALUE` is.
    program: PathBuf,
}

#[tokio::main]
#[allow(clippy::print_stdout, reason = "the report is this program's output")]
async fn main() -> anyhow::Result<ExitCode> {
    // The first provider wins; there is no other in this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Cli { launcher, program } = Cli::parse();
    let told = |what: &str, outcome: Result<(), String>| match outcome {
        Ok(()) => println!("ok      {what}"),
        Err(error) => println!("FAILED  {what}: {error}"),
    };
    let (passed, failed) = bare_root::run(&launcher, &program, told).await?;
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
