//! The broker's process; see the library for what it does.

use std::{io, process::ExitCode};

use keyward_broker::{
    app,
    args::{Cli, Command},
    audit::AuditLog,
    status,
};
use keyward_kit::{cli, tasks::shutdown_signal, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    // The first provider wins; there is no other in this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = match cli::parse::<Cli>("serve").command {
        Command::Serve(args) => serve(*args).await,
        Command::Status(args) => status::run(args, &mut io::stdout()).await.map_err(anyhow::Error::from),
    };
    outcome.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

async fn serve(args: keyward_broker::args::ServeArgs) -> anyhow::Result<()> {
    let _log = telemetry::init(&args.log)?;
    let signal = shutdown_signal()?;
    Ok(app::build(args, AuditLog::new(io::stdout())).await?.run(signal).await?)
}

#[allow(clippy::print_stderr, reason = "the log may not be there yet")]
fn fail(error: &anyhow::Error) -> ExitCode {
    // Each error already says its cause.
    eprintln!("keyward-broker: {error}");
    ExitCode::FAILURE
}
