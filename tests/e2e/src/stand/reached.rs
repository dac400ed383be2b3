//! How pods and the API server reach processes of the node: by the chart's Services.

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

/// Puts the node behind the chart's Services, beside the slices of their selectors, which select no pod.
pub(super) async fn apply(client: &Client, kinds: &Kinds) -> anyhow::Result<()> {
    for text in [slice("keyward-broker", "grpc", BROKER_PORT), slice("keyward-webhook", "https", WEBHOOK_PORT)] {
        for object in manifests::documents(&text)? {
            kinds.apply(client, &object).await?;
        }
    }
    Ok(())
}

/// Of a Service whose port has this name: by it the two belong together, whatever port of the pod the Service names.
fn slice(service: &str, port: &str, node_port: u16) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {service}-node, namespace: {NAMESPACE}, labels: {{kubernetes.io/service-name: {service}, \
         endpointslice.kubernetes.io/managed-by: e2e.keyward.dev}}}}\n\
         addressType: IPv4\nports: [{{name: {port}, port: {node_port}, protocol: TCP}}]\n\
         endpoints: [{{addresses: ['{NODE}'], conditions: {{ready: true}}}}]\n"
    )
}
