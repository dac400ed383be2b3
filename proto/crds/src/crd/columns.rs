//! What `kubectl get` shows of each kind.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;

/// One column.
pub(super) enum Column {
    /// Shown always.
    Shown(&'static str, &'static str),
    /// Shown by `-o wide`.
    Wide(&'static str, &'static str),
    /// How long ago.
    Since(&'static str, &'static str),
}

use Column::{Shown, Since, Wide};

pub(super) const SECRET: &[Column] = &[
    Shown("Vault", ".spec.vault.name"),
    Shown("Object", ".spec.vault.object.name"),
    Shown("Type", ".spec.vault.object.type"),
    Shown("Ready", ".status.conditions[?(@.type==\"Ready\")].status"),
    Shown("Version", ".status.version"),
    Since("Age", ".metadata.creationTimestamp"),
    Wide("Reason", ".status.conditions[?(@.type==\"Ready\")].reason"),
    Wide("Secret", ".status.secretName"),
    Wide("ConfigMap", ".status.configMapName"),
    // As text: a date that is yet to come is shown as `<invalid>`.
    Wide("Expires", ".status.expires"),
];

pub(super) const VAULT: &[Column] = &[
    Shown("Vault", ".spec.vaultName"),
    Shown("URL", ".spec.url"),
    Shown("Ready", ".status.conditions[?(@.type==\"Ready\")].status"),
    Since("Age", ".metadata.creationTimestamp"),
    Wide("Reason", ".status.conditions[?(@.type==\"Ready\")].reason"),
];

impl Column {
    pub(super) fn definition(&self) -> CustomResourceColumnDefinition {
        let (name, json_path, type_, priority) = match self {
            Shown(name, path) => (name, path, "string", None),
            Wide(name, path) => (name, path, "string", Some(1)),
            Since(name, path) => (name, path, "date", None),
        };
        CustomResourceColumnDefinition {
            name: (*name).to_owned(),
            json_path: (*json_path).to_owned(),
            type_: type_.to_owned(),
            priority,
            ..CustomResourceColumnDefinition::default()
        }
    }
}
