//! Every way not to become the application: its class, and the one line that says why.

use std::io;

use keyward_types::Reference;

use crate::args::UsageError;
use crate::class::Class;
use crate::cleanup::CleanupError;
use crate::environment::EnvironmentError;
use crate::exec::ExecError;
use crate::install::InstallError;
use crate::lookup::LookupError;
use crate::resolve::ResolveError;
use crate::settings::SettingsError;

/// How many references a line names.
const NAMED: usize = 5;

/// How long a line gets, in characters.
const LINE: usize = 2_000;

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The references or their values.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The launcher's own variables.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Getting the values.
    #[error("cannot resolve {}: {source}", named(.references, &.source.to_string()))]
    Resolve {
        /// All that was asked for.
        references: Vec<Reference>,
        /// Why there are no values.
        source: ResolveError,
    },
    /// Finding the command.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// Emptying the shared volume.
    #[error(transparent)]
    Cleanup(#[from] CleanupError),
    /// Becoming the application.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// Copying the launcher.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// Printing help or version.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
}

impl Failure {
    /// What kind of failure this is: its exit code.
    pub fn class(&self) -> Class {
        match self {
            Self::Usage(_) => Class::Usage,
            Self::Environment(_) | Self::Exec(ExecError::TooLarge { .. }) => Class::Data,
            Self::Settings(_) => Class::Configuration,
            Self::Resolve { source, .. } => match source {
                ResolveError::Credentials(_) | ResolveError::Untrusted { .. } => Class::Configuration,
                ResolveError::Deadline { .. } => Class::Unavailable,
                ResolveError::Refused { code, .. } => Class::of_status(*code),
                ResolveError::Count { .. } | ResolveError::Randomness | ResolveError::Runtime(_) => Class::Internal,
            },
            Self::Cleanup(_) | Self::Install(_) | Self::Output(_) => Class::Output,
            Self::Lookup(LookupError::NotFound(_)) => Class::CommandNotFound,
            Self::Lookup(LookupError::Denied(_)) | Self::Exec(ExecError::Refused { .. }) => Class::CannotExecute,
        }
    }

    /// The failure on one line: what others wrote into it cannot break the line, colour it or make it endless.
    pub fn line(&self) -> String {
        let text = self.to_string();
        let mut line = String::with_capacity(text.len());
        for character in text.chars().take(LINE) {
            if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
                line.extend(character.escape_default());
            } else {
                line.push(character);
            }
        }
        if text.chars().nth(LINE).is_some() {
            line.push('…');
        }
        line
    }
}

/// Those references that `reason` speaks of, or all where it names none; the first few of them.
fn named(references: &[Reference], reason: &str) -> String {
    let spoken_of: Vec<&Reference> = references.iter().filter(|reference| names(reason, reference.name())).collect();
    let meant = if spoken_of.is_empty() { references.iter().collect() } else { spoken_of };
    let mut list: Vec<String> = meant.iter().take(NAMED).map(ToString::to_string).collect();
    if meant.len() > NAMED {
        list.push(format!("{} more", meant.len() - NAMED));
    }
    list.join(", ")
}

/// Whether `name` stands in `text` as a word of its own: `db` is not spoken of in `db-password`.
fn names(text: &str, name: &str) -> bool {
    let inside = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.');
    text.match_indices(name).any(|(start, found)| {
        let before = text[..start].chars().next_back();
        let after = &text[start + found.len()..];
        // A full stop ends a sentence, unless the name goes on after it.
        let mut after = after.strip_prefix('.').unwrap_or(after).chars();
        !before.is_some_and(inside) && !after.next().is_some_and(inside)
    })
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn references(names: &[&str]) -> Vec<Reference> {
        names.iter().map(|name| Reference::new(name, None).unwrap()).collect()
    }

    fn refused(message: &str) -> Failure {
        let source = ResolveError::Refused { code: Code::NotFound, message: message.to_owned() };
        Failure::Resolve { references: references(&["db", "db-password", "api"]), source }
    }

    #[test]
    fn a_line_names_the_references_at_fault() {
        for (message, expected) in [
            ("no AzureKeyVaultSecret team/db-password", "cannot resolve db-password@azurekeyvault: not found: "),
            ("`db` and `api`.", "cannot resolve db@azurekeyvault, api@azurekeyvault: not found: "),
            ("there is no db.", "cannot resolve db@azurekeyvault: not found: "),
            ("db.x is not yours", "cannot resolve db@azurekeyvault, db-password@azurekeyvault, api@azurekeyvault: "),
        ] {
            let line = refused(message).line();
            assert!(line.starts_with(expected), "{line}");
        }
    }

    #[test]
    fn a_long_list_of_references_is_cut() {
        let list = named(&references(&["a", "b", "c", "d", "e", "f", "g"]), "");
        assert!(list.ends_with("e@azurekeyvault, 2 more"), "{list}");
    }

    #[test]
    fn what_the_broker_wrote_cannot_break_the_line() {
        let line = refused(&format!("a\r\nb\u{1b}[31m\u{2028}{}", "x".repeat(5_000))).line();
        assert!(line.contains(r"a\r\nb\u{1b}[31m\u{2028}x"), "{line}");
        assert!(line.chars().count() < LINE + 50 && !line.chars().any(char::is_control));
    }
}
