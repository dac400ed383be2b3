//! Pods that exist and do not run: a pod's token needs its object alone.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

/// Creates a pod that no scheduler takes, and that carries these references. Nothing else about it is special.
pub async fn create(
    client: &Client,
    namespace: &str,
    name: &str,
    service_account: &str,
    references: &[&str],
) -> anyhow::Result<Pod> {
    // A literal would be injected, or refused where nobody injects.
    let carried = json!({"name": "KEYWARD_REFERENCES", "value": references.join(",")});
    let pod = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "serviceAccountName": service_account,
            "schedulingGates": [{"name": "keyward.dev/never"}],
            "containers": [{"name": "app", "image": "registry.local:5000/pause:1", "env": [carried]}],
        },
    }))?;
    let created = Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &pod).await;
    created.with_context(|| format!("creating pod {namespace}/{name}"))
}

/// Deletes it at once.
pub async fn delete(client: &Client, namespace: &str, name: &str) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    pods.delete(name, &DeleteParams::default().grace_period(0)).await?;
    Ok(())
}
