//! How pods and the API server reach processes of the node: Services without a selector.

use kube::Client;

use super::NAMESPACE;
use crate::manifests::{self, Kinds};

/// Where the broker serves. Nothing else in the cluster's network namespace does.
pub(super) const BROKER_PORT: u16 = 8443;

/// Where the webhook serves.
pub(super) const WEBHOOK_PORT: u16 = 9443;

/// The node's address in the cluster of `tests/cluster`.
const NODE: &str = "172.30.0.1";

/// Names that these certificates must be for.
pub(super) fn names(service: &str) -> Vec<String> {
    vec![format!("{service}.{NAMESPACE}.svc")]
}

/// Makes the Services.
pub(super) async fn apply(client: &Client, kinds: &Kinds) -> anyhow::Result<()> {
    for text in [service("keyward-broker", 8443, BROKER_PORT), service("keyward-webhook", 443, WEBHOOK_PORT)] {
        for object in manifests::documents(&text)? {
            kinds.apply(client, &object).await?;
        }
    }
    Ok(())
}

fn service(name: &str, port: u16, node_port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {NAMESPACE}}}\n\
         spec: {{ports: [{{name: tls, port: {port}}}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}-node, namespace: {NAMESPACE}, labels: {{kubernetes.io/service-name: {name}, \
         endpointslice.kubernetes.io/managed-by: e2e.keyward.dev}}}}\n\
         addressType: IPv4\nports: [{{name: tls, port: {node_port}, protocol: TCP}}]\n\
         endpoints: [{{addresses: ['{NODE}'], conditions: {{ready: true}}}}]\n"
    )
}
