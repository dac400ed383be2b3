//! The controller's process; see the library for what it does.

use std::process::ExitCode;

use keyward_controller::{
    app,
    args::{Cli, Command, ServeArgs},
};
use keyward_kit::{cli, tasks::shutdown_signal, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    // The first provider wins; there is no other in this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Command::Serve(args) = cli::parse::<Cli>("serve", keyward_kit::version!()).command;
    match serve(*args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let log = telemetry::init(&args.log)?;
    let signal = shutdown_signal()?;
    Ok(app::build(args, log).await?.run(signal).await?)
}

#[allow(clippy::print_stderr, reason = "the log may not be there yet")]
fn fail(error: &anyhow::Error) -> ExitCode {
    // Each error already says its cause.
    eprintln!("keyward-controller: {error}");
    ExitCode::FAILURE
}
