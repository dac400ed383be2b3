//! What the probe in a pod told of itself.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// How it was started, by its own word.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Report {
    /// When, in microseconds since 1970.
    pub at: u64,
    /// Its words.
    pub argv: Vec<String>,
    /// Its working directory.
    pub directory: String,
    /// Its variables: a hash of each value.
    pub env: BTreeMap<String, String>,
    /// Its process id.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its other groups.
    pub groups: Vec<u32>,
    /// Whether standard input and output are a terminal.
    pub terminal: bool,
    /// What lies where the launcher lies, if there is such a place.
    pub launcher: Option<Vec<String>>,
}

/// What lies there where it was not cleaned up.
pub const KEPT: [&str; 2] = [".keyward", "keyward-launcher"];

impl Report {
    /// From the first line that is one.
    pub fn in_log(log: &str) -> Option<Self> {
        log.lines().find_map(|line| serde_json::from_str(line).ok())
    }

    /// Whether a variable has this value.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.env.get(name).is_some_and(|hash| *hash == hashed(value))
    }

    /// An error unless all these variables have these values. No value is shown.
    pub fn check(&self, variables: &[(&str, &str)]) -> anyhow::Result<()> {
        for (name, value) in variables {
            let is = if self.env.contains_key(*name) { "has another value" } else { "is not there" };
            ensure!(self.has(name, value), "variable {name} {is}");
        }
        Ok(())
    }

    /// Whether the launcher lies there as it was installed.
    pub fn is_kept(&self) -> bool {
        self.launcher.as_ref().is_some_and(|names| *names == KEPT)
    }

    /// Whether all of it has been deleted.
    pub fn is_cleaned_up(&self) -> bool {
        self.launcher.as_ref().is_some_and(Vec::is_empty)
    }
}

/// The hash of a value.
fn hashed(value: &str) -> String {
    Sha256::digest(value.as_bytes()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"at":1,"argv":["a"],"directory":"/","env":{"A":"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"},"pid":1,"uid":0,"gid":0,"groups":[],"terminal":false,"launcher":[]}"#;

    #[test]
    fn a_value_is_known_by_its_hash_and_never_shown() {
        let report = Report::in_log(&format!("keyward-launcher: hello\n{LINE}\n")).unwrap();
        report.check(&[("A", "foo")]).unwrap();
        assert_eq!(report.check(&[("A", "bar")]).unwrap_err().to_string(), "variable A has another value");
        assert_eq!(report.check(&[("B", "foo")]).unwrap_err().to_string(), "variable B is not there");
    }

    #[test]
    fn what_is_cleaned_up_is_there_and_empty() {
        let report = Report::in_log(LINE).unwrap();
        assert!(report.is_cleaned_up() && !report.is_kept());
        let nowhere = Report { launcher: None, ..report };
        assert!(!nowhere.is_cleaned_up() && !nowhere.is_kept());
    }
}
