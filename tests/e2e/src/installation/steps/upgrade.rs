//! Another version of the chart, the way back, and other values, while pods are created and values are resolved.

use std::path::Path;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::{admissionregistration::v1::MutatingWebhookConfiguration, apps::v1::Deployment, core::v1::Pod};
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::{Value, json};

use crate::{
    installation::{
        authority::CONFIGURATION,
        release::{self, CHART, Previous},
        site::Site,
        traffic::Traffic,
    },
    stand::NAMESPACE,
};

const DEPLOYMENTS: [&str; 3] = ["keyward-broker", "keyward-controller", "keyward-webhook"];

/// All of them are made anew, whatever the chart has changed.
pub(super) async fn an_upgrade_fails_no_call(site: &Site) -> anyhow::Result<()> {
    let all = site.values.more("upgraded", &annotated(&json!({"e2e.keyward.dev/upgraded": "yes"})))?;
    release::vault_first(&site.values, Path::new(CHART), &[&all]).await?;
    let (before, bundle) = (components(site).await?, bundle(site).await?);
    let traffic = Traffic::start(site).await?;
    release::upgrade(&site.values, Path::new(CHART), &[&all]).await?;
    release::until_ready().await?;
    let seen = traffic.end().await?;
    site.note(format!("upgrade: {seen}"));
    let after = components(site).await?;
    let stayed: Vec<_> = before.iter().filter(|pod| after.contains(pod)).collect();
    ensure!(stayed.is_empty(), "these were not made anew: {stayed:?}");
    ensure!(self::bundle(site).await? == bundle, "the upgrade has changed whom the API server believes");
    seen.nothing_failed()
}

/// Back to the revision before, and then on with a value that is seen in the pods.
pub(super) async fn a_rollback_and_other_values_fail_no_call(site: &Site) -> anyhow::Result<()> {
    let previous = Previous::find(&site.values).await?;
    let chart = previous.as_ref().map_or_else(|| Path::new(CHART).to_owned(), Previous::chart);
    release::vault_first(&site.values, &chart, &[]).await?;
    let bundle = bundle(site).await?;
    let traffic = Traffic::start(site).await?;
    release::roll_back().await?;
    release::until_ready().await?;
    let marked = marked(site).await?;
    let seen = traffic.end().await?;
    site.note(format!("rollback: {seen}"));
    ensure!(marked.is_empty(), "still as upgraded: {marked:?}");
    ensure!(self::bundle(site).await? == bundle, "the rollback has changed whom the API server believes");
    seen.nothing_failed()?;

    let debug = json!({"log": {"level": "debug"}});
    let other = site.values.more("other", &json!({"broker": debug, "webhook": debug}))?;
    release::vault_first(&site.values, Path::new(CHART), &[&other]).await?;
    let traffic = Traffic::start(site).await?;
    release::upgrade(&site.values, Path::new(CHART), &[&other]).await?;
    release::until_ready().await?;
    let seen = traffic.end().await?;
    site.note(format!("other values: {seen}"));
    for deployment in ["keyward-broker", "keyward-webhook"] {
        let level = variable_of(site, deployment, "KEYWARD_LOG_LEVEL").await?;
        ensure!(level.as_deref() == Some("debug"), "the log level of {deployment} is {level:?}");
    }
    ensure!(self::bundle(site).await? == bundle, "the upgrade has changed whom the API server believes");
    seen.nothing_failed()
}

fn annotated(annotations: &Value) -> Value {
    let pods = json!({"podAnnotations": annotations});
    json!({"broker": pods, "controller": pods, "webhook": pods})
}

/// The components' pods, by their UIDs. The vault's is none of them.
async fn components(site: &Site) -> anyhow::Result<Vec<String>> {
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), NAMESPACE);
    let params = ListParams::default().labels("app.kubernetes.io/component in (broker, controller, webhook)");
    let pods = pods.list_metadata(&params).await?.items;
    let ended = |pod: &&kube::core::PartialObjectMeta<Pod>| pod.metadata.deletion_timestamp.is_none();
    pods.iter().filter(ended).map(|pod| pod.uid().context("a pod without UID")).collect()
}

/// Deployments whose pods carry the upgrade's annotation.
async fn marked(site: &Site) -> anyhow::Result<Vec<&'static str>> {
    let mut marked = Vec::new();
    for name in DEPLOYMENTS {
        let deployment = Api::<Deployment>::namespaced(site.client.clone(), NAMESPACE).get(name).await?;
        let metadata = deployment.spec.and_then(|spec| spec.template.metadata).unwrap_or_default();
        if metadata.annotations.unwrap_or_default().contains_key("e2e.keyward.dev/upgraded") {
            marked.push(name);
        }
    }
    Ok(marked)
}

async fn variable_of(site: &Site, deployment: &str, variable: &str) -> anyhow::Result<Option<String>> {
    let deployment = Api::<Deployment>::namespaced(site.client.clone(), NAMESPACE).get(deployment).await?;
    let containers = deployment.spec.and_then(|spec| spec.template.spec).map(|pod| pod.containers).unwrap_or_default();
    let variables = containers.into_iter().flat_map(|container| container.env.unwrap_or_default());
    Ok(variables.filter(|one| one.name == variable).find_map(|one| one.value))
}

/// Whom the API server believes to be the webhook.
async fn bundle(site: &Site) -> anyhow::Result<Vec<u8>> {
    let configuration = Api::<MutatingWebhookConfiguration>::all(site.client.clone()).get(CONFIGURATION).await?;
    let webhook = configuration.webhooks.unwrap_or_default().pop().context("no webhook")?;
    let bundle = webhook.client_config.ca_bundle.context("no caBundle")?.0;
    ensure!(!bundle.is_empty(), "an empty caBundle");
    Ok(bundle)
}
