//! Rules that the API server checks (CEL), as both kinds use them. Each message says what is wrong and what to do.
//!
//! A text that a rule looks into has a bound ([`MAX_TEXT`] where nothing shorter is surely enough), because the API server
//! refuses a rule whose cost it cannot bound. The bounds are far above what can be right, so that a person meets the
//! rule's message and not the bound's.

use kube::core::{Reason, Rule};

/// Bytes of a text that a rule looks into.
pub(crate) const MAX_TEXT: u32 = 1_024;

/// What must hold, and what to say where it does not.
pub(crate) fn rule(holds: impl Into<String>, message: &str) -> Rule {
    Rule::new(holds).message(message)
}

/// The same, said of the field at `path` below the one that the rule is attached to.
pub(crate) fn rule_of(path: &str, holds: impl Into<String>, message: &str) -> Rule {
    rule(holds, message).field_path(path)
}

/// The same, of a field that is missing.
pub(crate) fn required(path: &str, holds: impl Into<String>, message: &str) -> Rule {
    rule_of(path, holds, message).reason(Reason::FieldValueRequired)
}

/// The name of a vault, in any case.
pub(crate) fn vault_name() -> [Rule; 1] {
    [rule(
        "self.matches('^[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]$')",
        "a vault's name has 3 to 24 letters, digits and `-`, begins with a letter and ends with a letter or digit; write \
         the name alone, without https:// and suffix",
    )]
}
