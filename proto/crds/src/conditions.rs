//! The names in `status.conditions`, and their schema.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{Schema, SchemaGenerator, json_schema};

/// The one condition of both kinds: whether what the object says is in effect.
pub const READY: &str = "Ready";

/// `reason` of an `AzureKeyVaultSecret`'s condition [`READY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// What the vault holds is written.
    Synced,
    /// There is no output; references to it are answered.
    Admitted,
    /// The vault has no such object.
    NotFound,
    /// No `AzureKeyVault` admits it.
    Forbidden,
    /// The manifest makes no sense.
    Invalid,
    /// Another `AzureKeyVaultSecret` writes the same key.
    Conflict,
    /// The Secret or `ConfigMap` exists, and is somebody else's.
    NotOwned,
    /// The object is there, but cannot be had: disabled, of another shape, without what the output needs.
    ObjectUnavailable,
    /// The vault or the broker does not answer. What was written last is kept.
    VaultUnavailable,
    /// The API server refused the write.
    Rejected,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Synced,
        Self::Admitted,
        Self::NotFound,
        Self::Forbidden,
        Self::Invalid,
        Self::Conflict,
        Self::NotOwned,
        Self::ObjectUnavailable,
        Self::VaultUnavailable,
        Self::Rejected,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::Admitted => "Admitted",
            Self::NotFound => "NotFound",
            Self::Forbidden => "Forbidden",
            Self::Invalid => "Invalid",
            Self::Conflict => "Conflict",
            Self::NotOwned => "NotOwned",
            Self::ObjectUnavailable => "ObjectUnavailable",
            Self::VaultUnavailable => "VaultUnavailable",
            Self::Rejected => "Rejected",
        }
    }

    /// Whether the condition is `True` for this reason.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Synced | Self::Admitted)
    }
}

/// `reason` of an `AzureKeyVault`'s condition [`READY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VaultReason {
    /// It holds.
    Accepted,
    /// It makes no sense; the vault is closed.
    Invalid,
    /// An older `AzureKeyVault` declares the same vault; that one holds.
    Conflict,
}

impl VaultReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Invalid, Self::Conflict];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Invalid => "Invalid",
            Self::Conflict => "Conflict",
        }
    }

    /// Whether the condition is `True` for this reason.
    pub fn is_ready(self) -> bool {
        self == Self::Accepted
    }
}

macro_rules! display_as_str {
    ($($name:ident),*) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
display_as_str!(Reason, VaultReason);

/// The condition of this type.
pub fn find<'a>(conditions: &'a [Condition], condition_type: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == condition_type)
}

/// A list of `metav1.Condition`, one of each type.
///
/// Source: <https://github.com/kubernetes/apimachinery/blob/v0.34.0/pkg/apis/meta/v1/types.go> (`Condition`)
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "description": "Ready.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
                },
                "status": {
                    "description": "Whether it holds.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"]
                },
                "reason": {
                    "description": "Why, in one word.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
                },
                "message": {
                    "description": "Why, and what to do.",
                    "type": "string",
                    "maxLength": 32768
                },
                "lastTransitionTime": {
                    "description": "When `status` last changed.",
                    "type": "string",
                    "format": "date-time"
                },
                "observedGeneration": {
                    "description": "The `metadata.generation` that this is said of.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_one_word_that_the_schema_admits() {
        let words = Reason::ALL.iter().map(|reason| reason.as_str());
        for word in words.chain(VaultReason::ALL.iter().map(|reason| reason.as_str())) {
            assert!(!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic()), "{word}");
        }
    }

    #[test]
    fn only_what_is_in_effect_is_ready() {
        let ready: Vec<_> = Reason::ALL.into_iter().filter(|reason| reason.is_ready()).collect();
        assert_eq!(ready, [Reason::Synced, Reason::Admitted]);
    }
}
