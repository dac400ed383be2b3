//! What to log: a filter that is known to parse.

use std::fmt;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// A filter that is known to parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

/// kube's watcher warns of each refusal at each try, for as long as rights are missing. Whoever watches tells of it once.
const QUIET: &str = "kube_runtime::watcher=off";

impl LogLevel {
    pub(super) fn filter(&self) -> Result<EnvFilter, BadLevel> {
        EnvFilter::builder().parse(format!("{QUIET},{}", self.0)).map_err(|error| BadLevel(error.to_string()))
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LogLevel {
    type Err = BadLevel;

    fn from_str(text: &str) -> Result<Self, BadLevel> {
        if let Some(word) = text.split(',').map(str::trim).find(|part| is_bare_word(part)) {
            // The filter's own grammar takes `inof` for a module of that name and would log nothing else.
            let word: String = word.chars().take(64).flat_map(char::escape_debug).collect();
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

impl BadLevel {
    /// What is wrong with it, for a filter that came from elsewhere than the variable.
    pub(super) fn reason(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_with_exceptions_are_accepted_and_words_that_are_no_level_are_not() {
        for good in ["off", "WARN", "info,hyper=warn", "debug,keyward_broker[resolve]=trace"] {
            good.parse::<LogLevel>().unwrap();
        }
        for bad in ["", "inof", "info,hyper", "hyper=loud", "info,"] {
            bad.parse::<LogLevel>().unwrap_err();
        }
    }

    #[test]
    fn kubes_watcher_is_heard_only_where_it_is_named() {
        for (level, loud) in
            [("info", false), ("debug,kube_runtime=debug", false), ("info,kube_runtime::watcher=warn", true)]
        {
            let filter = level.parse::<LogLevel>().unwrap().filter().unwrap().to_string();
            assert_eq!(!filter.contains(QUIET), loud, "{filter}");
        }
    }
}
