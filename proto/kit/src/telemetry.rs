//! Logs: lines on stderr, as text or JSON, behind a filter that can be changed while the process runs.
//!
//! Every server binary flattens [`LogArgs`] into its arguments and calls [`init`] once, first of all. With
//! `--log-level-file` it runs [`LogHandle::watch`] as one of its tasks.

mod file;
mod level;
#[cfg(test)]
mod testing;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

pub use file::LevelFileError;
pub use level::{BadLevel, LogLevel};

/// How and what to log.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// Format of log lines: `text` or `json`
    #[arg(long, env = "KEYWARD_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What to log: error, warn, info, debug or trace, and exceptions by module, as in `info,keyward_broker=debug`
    #[arg(long, env = "KEYWARD_LOG_LEVEL", default_value = "info", value_name = "FILTER")]
    pub log_level: LogLevel,
    /// A file that holds a filter instead, for changes while running; without the file the level above holds
    #[arg(long, env = "KEYWARD_LOG_LEVEL_FILE", value_name = "FILE")]
    pub log_level_file: Option<PathBuf>,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = BadFormat;

    fn from_str(text: &str) -> Result<Self, BadFormat> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(BadFormat),
        }
    }
}

/// Not a log format. The caller's message quotes the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("KEYWARD_LOG_FORMAT is `text` or `json`")]
pub struct BadFormat;

/// Why logging could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error(transparent)]
    Level(#[from] BadLevel),
    /// [`init`] was called twice.
    #[error("logging is set up already: {0}")]
    Twice(#[from] TryInitError),
    /// The subscriber is gone.
    #[error("the log filter cannot be changed: {0}")]
    Reload(#[from] reload::Error),
}

/// Changes the filter while the process runs.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    /// The level of the flag.
    configured: LogLevel,
}

impl LogHandle {
    /// Logs by `filter` from now on. A filter that does not parse changes nothing.
    pub fn set(&self, filter: &str) -> Result<(), TelemetryError> {
        self.apply(&filter.parse()?)
    }

    fn apply(&self, level: &LogLevel) -> Result<(), TelemetryError> {
        Ok(self.filter.reload(level.filter()?)?)
    }
}

/// Sets up logging for the whole process, on stderr.
pub fn init(args: &LogArgs) -> Result<LogHandle, TelemetryError> {
    let (dispatch, handle) = subscriber(args, io::stderr, io::stderr().is_terminal())?;
    // Takes the lines of the `log` crate too: rustls writes there.
    dispatch.try_init()?;
    Ok(handle)
}

fn subscriber<W>(args: &LogArgs, writer: W, colour: bool) -> Result<(Dispatch, LogHandle), BadLevel>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(args.log_level.filter()?);
    let lines = match args.log_format {
        LogFormat::Text => fmt::layer().with_writer(writer).with_ansi(colour).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
    };
    // The filter lies below the lines so that its handle can name its type: it then holds for every layer.
    let subscriber: Box<dyn Subscriber + Send + Sync> =
        Box::new(tracing_subscriber::registry().with(filter).with(lines));
    Ok((Dispatch::new(subscriber), LogHandle { filter: handle, configured: args.log_level.clone() }))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tracing::dispatcher::with_default;
    use tracing::{debug, info};

    use super::testing::Lines;
    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        log: LogArgs,
    }

    fn parse(args: &[&str]) -> Result<LogArgs, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"test").chain(args)).map(|cli| cli.log)
    }

    #[test]
    fn bad_values_name_the_variable_and_the_value() {
        for (flag, value, variable) in [
            ("--log-format", "xml", "KEYWARD_LOG_FORMAT"),
            ("--log-level", "inof", "KEYWARD_LOG_LEVEL"),
            ("--log-level", "info,hyper", "KEYWARD_LOG_LEVEL"),
            ("--log-level", "hyper=loud", "KEYWARD_LOG_LEVEL"),
            ("--log-level", "", "KEYWARD_LOG_LEVEL"),
        ] {
            let message = parse(&[&format!("{flag}={value}")]).unwrap_err().to_string();
            assert!(message.contains(variable) && message.contains(value), "{message}");
        }
    }

    #[test]
    fn the_filter_changes_while_running_and_a_bad_one_changes_nothing() {
        let lines = Lines::default();
        let writer = lines.clone();
        let (dispatch, handle) = subscriber(&parse(&[]).unwrap(), move || writer.clone(), false).unwrap();
        with_default(&dispatch, || {
            debug!("hidden");
            info!("shown");
            handle.set("inof").unwrap_err();
            debug!("still hidden");
            handle.set("debug").unwrap();
            debug!("shown too");
        });
        let text = lines.take();
        assert!(text.contains("shown") && text.contains("shown too") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn json_lines_hold_the_fields_at_the_top() {
        let lines = Lines::default();
        let writer = lines.clone();
        let (dispatch, _handle) =
            subscriber(&parse(&["--log-format", "json"]).unwrap(), move || writer.clone(), false).unwrap();
        with_default(&dispatch, || info!(vault = "acme", "read"));
        let text = lines.take();
        assert!(text.starts_with('{') && text.contains(r#""message":"read","vault":"acme""#), "{text}");
    }
}
