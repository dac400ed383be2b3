//! The launcher: resolves the references in its environment through the broker, then becomes the application.
//!
//! It runs in every injected container and in any image: static, one file, no shell, no libc, no `/etc/passwd`. What it
//! does is one way, top to bottom, in `launch`; only the rooms marked * touch anything outside the process.
//!
//! | room | holds |
//! |---|---|
//! | [`args`] | the command line and `--help` |
//! | [`environment`] | which variables hold references, and what they become |
//! | [`settings`] | the launcher's own `KEYWARD_*` variables |
//! | [`credentials`]* | the token and CA files |
//! | [`nonce`]* | what tells this process from others with the same token |
//! | [`client`]* | one `Resolve` over TLS |
//! | [`resolve`]* | tries until an answer, a refusal or the deadline |
//! | [`retry`] | how long to wait between tries |
//! | [`lookup`]* | `PATH` |
//! | [`cleanup`]* | empties the shared volume |
//! | [`exec`]* | becomes the application |
//! | [`install`]* | copies the launcher into the shared volume |
//! | [`failure`] | the one line on stderr |
//! | [`termination`]* | the same line for `kubectl describe pod` |
//! | [`class`] | exit codes |

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

pub mod args;
pub mod class;
pub mod cleanup;
pub mod client;
pub mod credentials;
pub mod environment;
pub mod exec;
pub mod failure;
pub mod install;
pub mod lookup;
pub mod nonce;
pub mod resolve;
pub mod retry;
pub mod settings;
pub mod termination;

use args::{Action, Launch};
use environment::Environment;
use failure::Failure;
use settings::Settings;

/// Does what the process's arguments and environment say. Returns only when there is no application to become.
pub fn run() -> ExitCode {
    match act() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With stderr gone there is nobody left to tell; the exit code still does.
            let line = format!("keyward-launcher: {}\n", failure.line());
            let _lost = std::io::stderr().write_all(line.as_bytes());
            termination::leave(Path::new(termination::LOG), &line);
            ExitCode::from(failure.class().code())
        }
    }
}

fn act() -> Result<(), Failure> {
    match args::parse(std::env::args_os().skip(1))? {
        Action::Help => print(args::HELP),
        Action::Version => print(&format!("keyward-launcher {}\n", args::VERSION)),
        Action::Install { directory, containers } if containers.is_empty() => Ok(install::install(&directory)?),
        Action::Install { directory, containers } => Ok(install::install_for(&directory, &containers)?),
        Action::Exec(launch) => match self::launch(&launch, Environment::new(std::env::vars_os()))? {},
    }
}

/// Resolves, looks the command up, cleans up and becomes the application: it returns only with a failure.
fn launch(launch: &Launch, mut environment: Environment) -> Result<std::convert::Infallible, Failure> {
    let own = environment.take_own();
    let wanted = environment.wanted()?;
    if !wanted.references.is_empty() {
        let settings = Settings::read(&own)?;
        let values = resolve::resolve(&settings, &wanted.references)
            .map_err(|source| Failure::Resolve { references: wanted.references.clone(), source })?;
        environment.apply(&wanted, &values)?;
    }
    let program = lookup::find(&launch.program, environment.get("PATH"))?;
    if cleanup::is_due(launch.cleanup, own.get(settings::RESTART_POLICY)) {
        cleanup::empty_home(launch.cleanup)?;
    }
    Err(exec::replace(&program, launch, environment).into())
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::Output)
}
