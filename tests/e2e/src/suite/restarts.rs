//! Workloads that ask to be rolled when a version changes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use kube::{Api, api::ListParams};

use crate::{
    scene::Scene,
    shop::Shop,
    wait::{Look, SOON, until, until_true},
};

tests![
    a_workload_that_asks_is_rolled_once_for_each_change_and_window,
    nothing_is_rolled_by_a_restart_of_the_controllers,
    a_workload_that_only_refers_is_rolled_too_and_one_that_does_not_ask_is_not,
];

/// The stand's `--restart-window`.
const WINDOW: Duration = Duration::from_secs(8);

fn deployment(namespace: &str, name: &str, asks: bool, env: &str) -> String {
    let annotations = if asks { "{keyward.dev/restart-on-change: \"true\"}" } else { "{}" };
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}, annotations: {annotations}}}\n\
         spec:\n  replicas: 0\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec:\n      containers: [{{name: c, image: 'registry.local:5000/pause:1', {env}}}]\n"
    )
}

async fn loaded(shop: &Shop<'_>, name: &str) -> anyhow::Result<Deployment> {
    Ok(Api::<Deployment>::namespaced(shop.scene.client().clone(), &shop.namespace).get(name).await?)
}

fn restarted_at(deployment: &Deployment) -> Option<String> {
    let template = &deployment.spec.as_ref()?.template;
    template.metadata.as_ref()?.annotations.as_ref()?.get("keyward.dev/restarted-at").cloned()
}

async fn until_recorded(shop: &Shop<'_>, name: &str, version: &str) -> anyhow::Result<()> {
    until(&format!("{name} recorded with {version}"), SOON, async || {
        let deployment = loaded(shop, name).await?;
        let annotations = deployment.metadata.annotations.unwrap_or_default();
        let recorded = annotations.get("keyward.dev/versions").cloned().unwrap_or_default();
        Ok(if recorded.contains(version) { Look::Found(()) } else { Look::NotYet(recorded) })
    })
    .await
}

async fn a_workload_that_asks_is_rolled_once_for_each_change_and_window(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let version = shop.synced("db", "kwcanary-1", "{secret: {name: out, dataKey: k}}").await?;
    let text = deployment(&shop.namespace, "web", true, "envFrom: [{secretRef: {name: out}}]");
    scene.apply(&text).await?;
    until_recorded(&shop, "web", &version).await?;
    let before = loaded(&shop, "web").await?;
    ensure!(restarted_at(&before).is_none(), "it was rolled when it was first seen");

    let second = shop.set("db", "kwcanary-2")?;
    until_recorded(&shop, "web", &second).await?;
    let once = loaded(&shop, "web").await?;
    let first_roll = restarted_at(&once).context("it was not rolled")?;
    let since = Instant::now();

    // Two more changes within the window are one roll, at its end.
    shop.set("db", "kwcanary-3")?;
    shop.until_data("out", &[("k", "kwcanary-3")]).await?;
    let last = shop.set("db", "kwcanary-4")?;
    shop.until_data("out", &[("k", "kwcanary-4")]).await?;
    ensure!(restarted_at(&loaded(&shop, "web").await?).as_ref() == Some(&first_roll), "twice in one window");
    until_recorded(&shop, "web", &last).await?;
    ensure!(since.elapsed() + Duration::from_secs(2) >= WINDOW, "{:?}", since.elapsed());
    let twice = loaded(&shop, "web").await?;
    ensure!(restarted_at(&twice).is_some_and(|at| at != first_roll), "it was recorded and not rolled");
    let templates: Api<ReplicaSet> = Api::namespaced(scene.client().clone(), &shop.namespace);
    let templates = templates.list_metadata(&ListParams::default()).await?.items.len();
    ensure!(templates == 3, "{templates} templates: not one for the beginning and one for each roll");
    Ok(())
}

async fn nothing_is_rolled_by_a_restart_of_the_controllers(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let version = shop.synced("db", "kwcanary-1", "{secret: {name: out, dataKey: k}}").await?;
    let env = "env: [{name: A, valueFrom: {secretKeyRef: {name: out, key: k}}}]";
    scene.apply(&deployment(&shop.namespace, "web", true, env)).await?;
    until_recorded(&shop, "web", &version).await?;
    let before = loaded(&shop, "web").await?;
    shop.stand.stop_controllers().await?;
    shop.stand.controllers().await?;
    // Whoever has recorded the second workload has looked at the first one, which it found when it began.
    scene.apply(&deployment(&shop.namespace, "other", true, env)).await?;
    until_recorded(&shop, "other", &version).await?;
    let after = loaded(&shop, "web").await?;
    ensure!(after.metadata.generation == before.metadata.generation, "it was rolled");
    ensure!(after.metadata.annotations == before.metadata.annotations, "it was written to");
    Ok(())
}

async fn a_workload_that_only_refers_is_rolled_too_and_one_that_does_not_ask_is_not(
    scene: &Scene,
) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let first = shop.set("db", "kwcanary-1")?;
    shop.akvs("db", "secret", "").await?;
    shop.until_ready("db", "True", "Admitted").await?;
    let env = "env: [{name: A, value: db@azurekeyvault}]";
    scene.apply(&deployment(&shop.namespace, "asks", true, env)).await?;
    scene.apply(&deployment(&shop.namespace, "silent", false, env)).await?;
    let stateful = deployment(&shop.namespace, "set", true, env).replace("kind: Deployment", "kind: StatefulSet");
    scene.apply(&stateful.replace("spec:\n  replicas: 0", "spec:\n  serviceName: set\n  replicas: 0")).await?;
    let callers = shop.stand.broker().await?;
    let (_, token) = scene.pod(&shop.namespace, "reader").await?;
    ensure!(callers.resolve(&token, &["db"]).await?.are(&["kwcanary-1"]), "another value");
    until_recorded(&shop, "asks", &first).await?;
    let second = shop.set("db", "kwcanary-2")?;
    until_recorded(&shop, "asks", &second).await?;
    ensure!(restarted_at(&loaded(&shop, "asks").await?).is_some(), "it was recorded and not rolled");
    let sets: Api<StatefulSet> = Api::namespaced(scene.client().clone(), &shop.namespace);
    let rolled = async || Ok(sets.get("set").await?.metadata.generation == Some(2));
    until_true("the StatefulSet rolled", SOON, rolled).await?;
    let silent = loaded(&shop, "silent").await?;
    ensure!(silent.metadata.generation == Some(1), "one that does not ask was rolled");
    let annotations = silent.metadata.annotations.unwrap_or_default();
    ensure!(!annotations.contains_key("keyward.dev/versions"), "one that does not ask was written to");
    Ok(())
}
