//! The first pod that a user starts: the example of a Deployment, in a namespace that has just been labelled.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, LogParams},
};
use serde_json::json;

use super::{
    emulator::{SEEDED, VAULT},
    site::Site,
};
use crate::{
    apps::{self, ENABLED, init_containers},
    images::ENTRYPOINT,
    manifests::akvs,
    report::Report,
    wait::{Look, SOON, until, until_true},
};

/// Its namespace.
pub const NAMESPACE: &str = "first";

/// The longest that it is waited for: on a busy machine, six images are pulled and started before it.
const PATIENCE: Duration = Duration::from_secs(300);

/// Applies it right after `helm install` has returned, and waits for its first line.
pub async fn first_injected_pod(site: &Site) -> anyhow::Result<()> {
    let (enabled, yes) = ENABLED;
    site.apply(&format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}, labels: {{{enabled}: {yes}}}}}\n"
    ))
    .await?;
    until_nothing_slips_through(site).await?;
    let (object, value) = SEEDED;
    let template = json!({"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{
        "name": "app", "image": ENTRYPOINT, "env": [{"name": "DB", "value": "db@azurekeyvault"}],
    }]}});
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app, namespace: {NAMESPACE}}}\n\
         spec: {{selector: {{matchLabels: {{app: app}}}}, template: {template}}}\n"
    );
    let declared = akvs(NAMESPACE, "db", VAULT, object, "");
    site.apply(&format!("{declared}---\n{deployment}")).await?;
    first_report(site, NAMESPACE, "app").await?.check(&[("DB", value)])
}

/// What the first pod of an application tells, once one runs. It was injected.
pub async fn first_report(site: &Site, namespace: &str, app: &str) -> anyhow::Result<Report> {
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), namespace);
    let params = ListParams::default().labels(&format!("app={app}"));
    let (pod, report) = until(&format!("the first line of {app}"), PATIENCE, async || {
        for pod in pods.list(&params).await? {
            // Until it runs there is no log, and an error says so.
            let log = pods.logs(&pod.name_any(), &LogParams::default()).await.unwrap_or_default();
            if let Some(report) = Report::in_log(&log) {
                return Ok(Look::Found((pod, report)));
            }
        }
        Ok(Look::NotYet("no line"))
    })
    .await?;
    apps::is_injected(&pod)?;
    Ok(report)
}

/// The API server hears of the webhook and of the policy a moment after they were made. A pod that is created before that is
/// like one from before the installation.
async fn until_nothing_slips_through(site: &Site) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), NAMESPACE);
    let account = Api::<k8s_openapi::api::core::v1::ServiceAccount>::namespaced(site.client.clone(), NAMESPACE);
    let is_there = async || Ok(account.get_opt("default").await?.is_some());
    until_true("the namespace's service account", SOON, is_there).await?;
    let container = json!({"name": "app", "image": ENTRYPOINT, "env": [{"name": "DB", "value": "db@azurekeyvault"}]});
    let pod = apps::pod(&json!({"name": "slips-through"}), &json!({"containers": [container]}))?;
    let dry = kube::api::PostParams { dry_run: true, ..kube::api::PostParams::default() };
    let stops = async || match pods.create(&dry, &pod).await {
        Ok(pod) => Ok(!init_containers(&pod).is_empty()),
        Err(kube::Error::Api(status)) => {
            ensure!(status.code != 404, "{}", status.message);
            Ok(true)
        }
        Err(error) => Err(error).context("creating a pod"),
    };
    until_true("a pod stopped or injected", SOON, stops).await
}
