//! Who is who, and what there is before anybody starts.

use serde_json::{Value, json};

use crate::{
    api::{ApiServer, Resource},
    process::MARKER,
    stand::CLIENT,
    vault::Emulator,
};

/// The release's namespace.
pub const NAMESPACE: &str = "keyward";
/// A namespace whose pods are injected into.
pub const INJECTED: &str = "shop";
/// The name by which the broker is called.
pub const BROKER_NAME: &str = "localhost";
/// The name by which the API server calls the webhook.
pub const WEBHOOK_NAME: &str = "keyward-webhook.keyward.svc";
/// The authority's Secret, and the `ConfigMap`s of what is trusted.
pub const AUTHORITY: &str = "keyward-ca";
/// The Secrets of servers' certificates.
pub const TLS_SECRETS: [&str; 2] = ["keyward-broker-tls", "keyward-webhook-tls"];
/// The `MutatingWebhookConfiguration`.
pub(super) const CONFIGURATION: &str = "keyward-webhook";

/// References of a request: as many as a review has.
pub(super) const SECRETS: usize = 3;

/// The webhook configuration as it is now.
pub fn configuration(api: &ApiServer) -> Option<Value> {
    api.get(Resource::MUTATING_WEBHOOKS, "", CONFIGURATION)
}

/// Changes the first webhook's `caBundle`.
pub fn set_bundle(api: &ApiServer, bundle: &str) {
    api.edit(Resource::MUTATING_WEBHOOKS, "", CONFIGURATION, |configuration| {
        configuration["webhooks"][0]["clientConfig"]["caBundle"] = bundle.into();
    });
}

pub(super) fn reference(n: usize) -> String {
    format!("secret-{n}")
}

pub(super) fn value(n: usize) -> String {
    format!("{MARKER}-{n}")
}

pub(super) fn populate(api: &ApiServer) {
    let labels = json!({ "azure-key-vault-env-injection": "enabled" });
    api.put(Resource::NAMESPACES, json!({ "metadata": { "name": INJECTED, "labels": labels } }));
    api.put(Resource::NAMESPACES, json!({ "metadata": { "name": NAMESPACE } }));
    let service = json!({ "name": "keyward-webhook", "namespace": NAMESPACE, "path": "/pods" });
    let webhook = json!({ "name": "pods.keyward.dev", "clientConfig": { "service": service } });
    api.put(Resource::MUTATING_WEBHOOKS, json!({ "metadata": { "name": CONFIGURATION }, "webhooks": [webhook] }));
}

pub(super) fn objects() -> String {
    let secrets = (0..SECRETS).map(|n| format!("      {}: {{value: {}}}\n", reference(n), value(n)));
    format!(
        "vaults:\n  acme:\n    secrets:\n{}identities:\n  - clientId: {CLIENT}\n    \
         federatedSubjects: [\"system:serviceaccount:keyward:keyward-broker\"]\n",
        secrets.collect::<String>()
    )
}

pub(super) fn manifests(emulator: &Emulator) -> String {
    let vault = format!(
        "apiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {{name: acme}}\n\
         spec: {{vaultName: acme, url: '{}', namespaces: {{names: [{INJECTED}]}}}}\n",
        emulator.vault_url("acme")
    );
    let secrets = (0..SECRETS).map(reference).map(|name| {
        format!(
            "---\napiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\nmetadata: {{name: {name}, namespace: {INJECTED}}}\n\
             spec: {{vault: {{name: acme, object: {{name: {name}, type: secret}}}}}}\n"
        )
    });
    [vault].into_iter().chain(secrets).collect()
}
