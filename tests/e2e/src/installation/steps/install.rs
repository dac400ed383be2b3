//! The documented way, on the cluster that akv2k8s left.

use std::{path::PathBuf, time::Instant};

use crate::{
    helm::helm,
    installation::{
        first::first_injected_pod,
        release::{self, CHART, DEFINITIONS, Previous},
        site::Site,
        traffic,
    },
    stand::NAMESPACE,
};

/// With the chart that is upgraded later, where there is an older one.
pub(super) async fn definitions_are_taken_over_and_the_release_runs(site: &Site) -> anyhow::Result<()> {
    let folder = format!("charts/{DEFINITIONS}");
    let install = ["install", DEFINITIONS, &folder, "--namespace", NAMESPACE, "--create-namespace", "--take-ownership"];
    helm(&install).await?;
    let previous = Previous::find(&site.values).await?;
    let chart = previous.as_ref().map_or_else(|| PathBuf::from(CHART), Previous::chart);
    let which = previous.as_ref().map_or("the present one: no older one runs", |previous| &previous.commit);
    site.note(format!("the chart that is upgraded later: {which}"));
    let more = previous.as_ref().map(|previous| previous.values(&site.values)).transpose()?.flatten();
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let began = Instant::now();
    release::install(&site.values, &chart, &more).await?;
    first_injected_pod(site).await?;
    let took = began.elapsed().as_secs_f32();
    site.note(format!("{took:.1} s from `helm install` to the first injected pod running, images on the node"));
    release::until_ready().await?;
    traffic::prepare(site).await
}

pub(super) async fn helm_test_passes(_: &Site) -> anyhow::Result<()> {
    helm(&["test", release::NAME, "--namespace", NAMESPACE, "--timeout=60s"]).await.map(drop)
}
