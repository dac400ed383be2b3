//! Logs: lines on stderr, as text or JSON, behind a filter that can be changed while the process runs.
//!
//! Every server binary flattens [`LogArgs`] into its arguments and calls [`init`] once, first of all.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use clap::Args;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

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

/// A filter that is known to parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    fn filter(&self) -> Result<EnvFilter, BadLevel> {
        EnvFilter::builder().parse(&self.0).map_err(|error| BadLevel(error.to_string()))
    }
}

impl FromStr for LogLevel {
    type Err = BadLevel;

    fn from_str(text: &str) -> Result<Self, BadLevel> {
        if let Some(word) = text.split(',').map(str::trim).find(|part| is_bare_word(part)) {
            // The filter's own grammar takes `inof` for a module of that name and would log nothing else.
            return Err(BadLevel(format!("`{word}` is no level; to log all of a module write `{word}=trace`")));
        }
        let level = Self(text.to_owned());
        level.filter().map(|_| level)
    }
}

fn is_bare_word(part: &str) -> bool {
    !part.contains(['=', '[']) && (part.is_empty() || part.parse::<LevelFilter>().is_err())
}

/// Not a log filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("KEYWARD_LOG_LEVEL is error, warn, info, debug, trace or off, with exceptions as `module=level`: {0}")]
pub struct BadLevel(String);

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
pub struct LogHandle(reload::Handle<EnvFilter, Registry>);

impl LogHandle {
    /// Logs by `filter` from now on. A filter that does not parse changes nothing.
    pub fn set(&self, filter: &str) -> Result<(), TelemetryError> {
        let filter = filter.parse::<LogLevel>()?.filter()?;
        Ok(self.0.reload(filter)?)
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
    Ok((Dispatch::new(subscriber), LogHandle(handle)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use clap::Parser;
    use tracing::dispatcher::with_default;
    use tracing::{debug, info};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        log: LogArgs,
    }

    fn parse(args: &[&str]) -> Result<LogArgs, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"test").chain(args)).map(|cli| cli.log)
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
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
    fn levels_with_exceptions_are_accepted() {
        for level in ["off", "WARN", "info,hyper=warn", "debug,keyward_broker[resolve]=trace"] {
            parse(&["--log-level", level]).unwrap();
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
