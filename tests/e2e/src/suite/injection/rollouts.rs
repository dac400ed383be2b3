//! Many pods at once, and what comes after a secret has changed.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::apps::v1::Deployment;
use keyward_proto::v1::Verdict;
use kube::Api;
use serde_json::json;

use crate::{
    apps::{Apps, container},
    images::{ENTRYPOINT, PROBE},
    manifests::akvs,
    scene::Scene,
    stand::admits,
    wait::{Look, until},
};

tests![fifty_pods_cost_the_vault_no_call_while_it_is_known, a_changed_secret_is_what_the_next_pod_gets];

/// A vault at default settings.
const QUIET: &str = "load-0";

const PODS: usize = 50;

/// The longest that all of them are waited for: each is two containers and a sandbox to start on the test machine.
const PATIENCE: Duration = Duration::from_secs(300);

async fn fifty_pods_cost_the_vault_no_call_while_it_is_known(scene: &Scene) -> anyhow::Result<()> {
    // Of a vault that is compared every ten minutes, so that hardly a call is for another reason.
    let (admits, admitted) = admits(QUIET);
    let apps = Apps::open_with(scene, &[(&admits, &admitted)]).await?;
    let (stand, object) = (apps.shop.stand, apps.shop.object("db"));
    stand.vault(QUIET)?.set_secret(&object, "kwcanary-db")?;
    scene.apply(&akvs(&apps.shop.namespace, "db", QUIET, &object, "")).await?;
    stand.callers()?.until_checked(&apps.shop.namespace, "db", Verdict::Known).await?;
    let spec = json!({"containers": [container("app", ENTRYPOINT, json!({"command": [PROBE]}))]});
    apps.start("first", &spec).await?;
    apps.report("first", "app").await?.check(&[("DB", "kwcanary-db")])?;

    let before = stand.vault_calls(QUIET, &object);
    let polls = stand.polls(QUIET).await?;
    ensure!(before > 0, "the first pod got its value from nowhere");
    let namespace = &apps.shop.namespace;
    let template = json!({"metadata": {"labels": {"app": "many"}}, "spec": spec});
    scene
        .apply_one(&format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: many, namespace: {namespace}}}\n\
             spec: {{replicas: {PODS}, selector: {{matchLabels: {{app: many}}}}, template: {template}}}\n"
        ))
        .await?;
    let deployments: Api<Deployment> = Api::namespaced(scene.client().clone(), namespace);
    until(&format!("{PODS} pods"), PATIENCE, async || {
        let status = deployments.get("many").await?.status.unwrap_or_default();
        let all = status.available_replicas.is_some_and(|ready| usize::try_from(ready) == Ok(PODS));
        Ok(if all { Look::Found(()) } else { Look::NotYet(status.available_replicas) })
    })
    .await?;
    let pods = apps.labelled("app=many").await?;
    ensure!(pods.len() == PODS, "{} pods", pods.len());
    for pod in pods {
        apps.report(&pod, "app").await?.check(&[("DB", "kwcanary-db")])?;
    }
    let calls = stand.vault_calls(QUIET, &object) - before;
    let polls = stand.polls(QUIET).await? - polls;
    ensure!(calls <= polls, "{calls} calls for {PODS} pods, {polls} of them to compare");
    Ok(())
}

async fn a_changed_secret_is_what_the_next_pod_gets(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-before").await?;
    let spec = json!({"containers": [container("app", ENTRYPOINT, json!({"command": [PROBE]}))]});
    apps.start("before", &spec).await?;
    apps.report("before", "app").await?.check(&[("DB", "kwcanary-before")])?;
    apps.rotate("db", "kwcanary-after").await?;
    apps.start("after", &spec).await?;
    apps.report("after", "app").await?.check(&[("DB", "kwcanary-after")])?;
    let status = apps.status("before", "app").await?;
    ensure!(status.restart_count == 0, "the running one was started again");
    Ok(())
}
