//! The cluster itself: what the other tests take for granted.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api,
    api::{LogParams, PostParams},
};
use serde_json::json;

use crate::{
    requests::{self, Counted},
    scene::Scene,
    wait::{SOON, until_true},
};

tests![
    the_node_is_ready_and_runs_the_version_that_was_built,
    a_pod_runs_and_is_given_the_brokers_token,
    the_api_server_counts_what_it_is_asked,
    the_api_server_can_be_killed_and_started_and_halted,
];

async fn the_node_is_ready_and_runs_the_version_that_was_built(scene: &Scene) -> anyhow::Result<()> {
    let node = Api::<Node>::all(scene.client().clone()).get("node1").await?;
    let status = node.status.context("a node without status")?;
    let is_ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    ensure!(is_ready, "{:?}", status.conditions);
    let versions =
        (scene.client().apiserver_version().await?.git_version, status.node_info.context("no info")?.kubelet_version);
    ensure!(versions.0 == versions.1 && versions.0.starts_with("v1."), "{versions:?}");
    Ok(())
}

async fn a_pod_runs_and_is_given_the_brokers_token(scene: &Scene) -> anyhow::Result<()> {
    let namespace = scene.namespace("running", &[]).await?;
    let projected =
        json!({"serviceAccountToken": {"audience": "keyward-broker", "expirationSeconds": 600, "path": "token"}});
    let pod = serde_json::from_value(json!({
        "metadata": {"name": "pause"},
        "spec": {
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "pause",
                "image": "registry.local:5000/pause:1",
                "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "token", "mountPath": "/token"}],
            }],
            "volumes": [{"name": "token", "projected": {"sources": [projected]}}],
        },
    }))?;
    let pods: Api<Pod> = Api::namespaced(scene.client().clone(), &namespace);
    pods.create(&PostParams::default(), &pod).await?;
    let runs = async || {
        let status = pods.get("pause").await?.status.unwrap_or_default();
        Ok(status.container_statuses.iter().flatten().any(|container| container.ready))
    };
    until_true("the pod running", SOON, runs).await?;
    let printed = pods.logs("pause", &LogParams::default()).await?;
    ensure!(printed.is_empty(), "{printed}");
    Ok(())
}

async fn the_api_server_counts_what_it_is_asked(scene: &Scene) -> anyhow::Result<()> {
    let namespace = scene.namespace("counted", &[]).await?;
    let before = Counted::now(scene.client()).await?;
    for number in 0..5 {
        let text = format!("apiVersion: v1\nkind: LimitRange\nmetadata: {{name: c{number}, namespace: {namespace}}}\n");
        scene.apply(&text).await?;
    }
    let since = Counted::now(scene.client()).await?.since(&before);
    ensure!(since.writes("limitranges") == 5, "{since:?}");
    Ok(())
}

async fn the_api_server_can_be_killed_and_started_and_halted(scene: &Scene) -> anyhow::Result<()> {
    let (cluster, client) = (scene.cluster(), scene.client());
    let ready = async || -> anyhow::Result<String> { Ok(client.request_text(requests::get("/readyz")?).await?) };
    cluster.stop("kube-apiserver")?;
    ensure!(ready().await.is_err(), "a killed API server answers");
    cluster.start("kube-apiserver")?;
    ensure!(ready().await? == "ok", "the API server is not ready again");
    cluster.pause("kube-apiserver")?;
    // Its threads stop one after the other: a request that is under way may still be answered.
    let unanswered = async || Ok(tokio::time::timeout(std::time::Duration::from_secs(1), ready()).await.is_err());
    let halted = until_true("the API server standing still", SOON, unanswered).await;
    cluster.resume("kube-apiserver")?;
    halted?;
    until_true("the API server going on", SOON, async || Ok(ready().await.is_ok())).await
}
