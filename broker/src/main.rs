//! The broker's process; see the library for what it does.

use std::{io, process::ExitCode};

use keyward_broker::{
    app,
    args::{Cli, Command, ServeArgs},
    audit::AuditLog,
    operator::{self, Answer, Question},
};
use keyward_kit::{cli, tasks::shutdown_signal, telemetry};
use tikv_jemallocator::Jemalloc;

/// musl's own has one lock for all threads, which costs a broker under many reads more than all that it does for them: docs/images.md.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// `explain` could not tell, which is neither yes nor no.
const CANNOT_TELL: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    // The first provider wins; there is no other in this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::parse::<Cli>("serve", keyward_kit::version!()).command {
        Command::Serve(args) => {
            serve(*args).await.map_or_else(|error| fail(&error, ExitCode::FAILURE), |()| ExitCode::SUCCESS)
        }
        Command::Status(args) => ask(Question::Status(args), ExitCode::FAILURE).await,
        Command::Refresh(args) => ask(Question::Refresh(args), ExitCode::FAILURE).await,
        Command::Explain(args) => ask(Question::Explain(args), CANNOT_TELL.into()).await,
    }
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let log = telemetry::init(&args.log)?;
    let signal = shutdown_signal()?;
    Ok(app::build(args, AuditLog::new(io::stdout()), log).await?.run(signal).await?)
}

async fn ask(question: Question, on_error: ExitCode) -> ExitCode {
    match operator::run(question, &mut io::stdout()).await {
        Ok(Answer::Good) => ExitCode::SUCCESS,
        Ok(Answer::Bad) => ExitCode::FAILURE,
        Err(error) => fail(&error.into(), on_error),
    }
}

#[allow(clippy::print_stderr, reason = "the log may not be there yet")]
fn fail(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    // Each error already says its cause.
    eprintln!("keyward-broker: {error}");
    code
}
