//! The filter from a file, followed while the process runs, so that an incident needs no restart.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{LogHandle, LogLevel};
use crate::once::Once;

const MAX_BYTES: u64 = 4 * 1024;

/// Why the file does not decide what is logged.
#[derive(Debug, thiserror::Error)]
pub enum LevelFileError {
    /// It is there and cannot be read.
    #[error("cannot read the log level from {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its content is no filter.
    #[error("{} holds no log filter: {reason}", path.display())]
    Level {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl LogHandle {
    /// Looks at `path` every `period` until `shutdown` and logs by its content: a task for [`crate::tasks::Tasks`]. While
    /// there is no file, the level of the flag holds; while its content is no filter, the last one that was.
    ///
    /// Contents are compared for the same reason as those of certificates: the kubelet swaps a symlink above the file.
    pub async fn watch(self, path: PathBuf, period: Duration, shutdown: CancellationToken) -> Result<(), JoinError> {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut current = self.configured.clone();
        let mut complaints = Once::default();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let from = path.clone();
            let wanted = wanted(&path, spawn_blocking(move || read(&from)).await?, &self.configured);
            match wanted {
                Ok(level) => {
                    complaints.settled();
                    if level != current {
                        self.switch(&level);
                        current = level;
                    }
                }
                Err(error) if complaints.is_new(&error.to_string()) => error!(%error, "the log level stays as it is"),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn switch(&self, level: &LogLevel) {
        match self.apply(level) {
            Ok(()) => info!(%level, "log level changed"),
            Err(error) => error!(%error, %level, "the log level cannot be changed"),
        }
    }
}

/// What to log by now. `content` is nothing where there is no file.
fn wanted(path: &Path, content: io::Result<Option<String>>, configured: &LogLevel) -> Result<LogLevel, LevelFileError> {
    match content {
        Ok(None) => Ok(configured.clone()),
        Ok(Some(text)) => text
            .trim()
            .parse::<LogLevel>()
            .map_err(|bad| LevelFileError::Level { path: path.to_owned(), reason: bad.reason().to_owned() }),
        Err(source) => Err(LevelFileError::Read { path: path.to_owned(), source }),
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 4 KiB"));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::time::timeout;
    use tracing::{debug, dispatcher, trace};

    use super::super::testing::Lines;
    use super::super::{LogArgs, LogFormat, subscriber};
    use super::*;

    fn level(text: &str) -> LogLevel {
        text.parse().unwrap()
    }

    fn wants(content: io::Result<Option<&str>>) -> Result<LogLevel, String> {
        let content = content.map(|text| text.map(str::to_owned));
        wanted(Path::new("/etc/keyward/log-level"), content, &level("warn")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_file_decides_and_without_it_the_flag() {
        for (content, expected) in [
            (None, "warn"),
            (Some("debug"), "debug"),
            (Some(" info,hyper=off\n"), "info,hyper=off"),
            (Some("off\n\n"), "off"),
        ] {
            assert_eq!(wants(Ok(content)), Ok(level(expected)), "{content:?}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_with_the_files_name() {
        for (content, said) in
            [("", "no level"), ("inof", "inof"), ("hyper=loud", "level"), ("info\ndebug", r"`info\ndebug`")]
        {
            let error = wants(Ok(Some(content))).unwrap_err();
            assert!(error.starts_with("/etc/keyward/log-level holds no log filter: "), "{error}");
            assert!(error.contains(said), "{error}");
        }
        let error = wants(Err(io::ErrorKind::PermissionDenied.into())).unwrap_err();
        assert!(error.starts_with("cannot read the log level from /etc/keyward/log-level: "), "{error}");
    }

    #[test]
    fn only_a_missing_file_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log-level");
        assert!(matches!(read(&path), Ok(None)));
        read(dir.path()).unwrap_err();
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    /// In one step: a look between truncating and writing would see an empty file.
    fn put(path: &Path, content: &str) {
        let new = path.with_extension("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Returns when a line of TRACE appears, or does not, as `wanted`.
    async fn traces(lines: &Lines, wanted: bool) {
        loop {
            lines.take();
            trace!("probe");
            if lines.take().contains("probe") == wanted {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn trace_lines_start_and_stop_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log-level");
        let lines = Lines::default();
        let writer = lines.clone();
        let args =
            LogArgs { log_format: LogFormat::Text, log_level: level("debug"), log_level_file: Some(path.clone()) };
        let (dispatch, handle) = subscriber(&args, move || writer.clone(), false).unwrap();
        let _here = dispatcher::set_default(&dispatch);
        let stop = CancellationToken::new();
        let changes = async {
            traces(&lines, false).await;
            put(&path, "trace\n");
            traces(&lines, true).await;
            put(&path, "info\n");
            traces(&lines, false).await;
            debug!("probe");
            assert!(!lines.take().contains("probe"));
            put(&path, "trace");
            traces(&lines, true).await;
            fs::remove_file(&path).unwrap();
            traces(&lines, false).await;
            debug!("probe");
            assert!(lines.take().contains("probe"), "the level of the flag is back");
            stop.cancel();
        };
        let watching = handle.watch(path.clone(), Duration::from_millis(1), stop.clone());
        let both = async { tokio::join!(watching, changes) };
        timeout(Duration::from_secs(30), both).await.unwrap().0.unwrap();
    }

    #[tokio::test]
    async fn a_bad_filter_changes_nothing_and_is_an_error_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log-level");
        let lines = Lines::default();
        let writer = lines.clone();
        let args = LogArgs { log_format: LogFormat::Text, log_level: level("info"), log_level_file: None };
        let (dispatch, handle) = subscriber(&args, move || writer.clone(), false).unwrap();
        let _here = dispatcher::set_default(&dispatch);
        let stop = CancellationToken::new();
        let mut said = String::new();
        let changes = async {
            // Two mistakes: when the second is said, looks at the first are over.
            for mistake in ["inof", "dbeug"] {
                put(&path, mistake);
                while !said.contains(mistake) {
                    said += &lines.take();
                    tokio::task::yield_now().await;
                }
            }
            said += &lines.take();
            stop.cancel();
        };
        let watching = handle.watch(path.clone(), Duration::from_millis(1), stop.clone());
        let both = async { tokio::join!(watching, changes) };
        timeout(Duration::from_secs(30), both).await.unwrap().0.unwrap();
        assert_eq!(said.matches("ERROR").count(), 2, "{said}");
        assert!(!said.contains("log level changed"), "{said}");
    }
}
