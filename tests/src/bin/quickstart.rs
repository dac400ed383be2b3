//! `cargo quickstart`; see `keyward_tests::quickstart`.

use std::{io, os::unix::process::ExitStatusExt as _, process::ExitCode};

use clap::Parser;
use keyward_tests::quickstart::{self, Options, SHOW};

/// Runs the whole of Keyward on this machine: Key Vault emulator → broker → launcher → your program.
#[derive(Parser)]
#[command(name = "cargo quickstart", bin_name = "cargo quickstart")]
struct Cli {
    /// Leave everything running and print commands to try by hand
    #[arg(long)]
    keep: bool,
    /// The program to launch with the example's environment, after `--`; by default one that shows it
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, show, names @ ..] = arguments.as_slice()
        && show == SHOW
    {
        return quickstart::show_environment(names, &mut io::stdout())
            .map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    // The first provider wins; there is no other in this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Cli { keep, command } = Cli::parse();
    match quickstart::run(Options { keep, command }).await {
        Ok(status) => {
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Err(error) => fail(&error),
    }
}

#[allow(clippy::print_stderr, reason = "this is a program for people")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("quickstart: {error:#}");
    ExitCode::FAILURE
}
