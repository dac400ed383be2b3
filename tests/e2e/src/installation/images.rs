//! The images that the chart names: built by `charts/images/build` as for everybody, pushed into the cluster's registry
//! under the chart's own version, so that nothing but the registry is to be said to helm.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use keyward_tests::programs;

use crate::{
    cluster::{Cluster, repository},
    images::{self, REGISTRY},
};

/// What runs in the release.
const COMPONENTS: [&str; 5] = ["broker", "controller", "webhook", "launcher", "vault"];

/// Builds them, outside of the cluster.
pub fn build() -> anyhow::Result<()> {
    let script = repository().join("charts/images/build");
    let built =
        programs::nested(&script).args(["--profile", "quick", "--out"]).arg(directory()).args(COMPONENTS).status();
    let status = built.with_context(|| script.display().to_string())?;
    ensure!(status.success(), "{}: {status}", script.display());
    Ok(())
}

/// Pushes them, and the images of the pods that use what is installed.
pub async fn push(cluster: &Cluster) -> anyhow::Result<()> {
    let version = version_of_chart()?;
    let component = async |name: &str| {
        let layout = directory().join(format!("keyward-{name}"));
        let layout = layout.to_str().context("a folder's name")?;
        images::run(cluster, &["crane", "push", layout, &format!("{REGISTRY}/keyward-{name}:{version}")]).await
    };
    try_join_all(COMPONENTS.map(component)).await?;
    images::push_applications(cluster).await
}

fn directory() -> PathBuf {
    repository().join("target/images")
}

/// The tag that the chart takes where nobody gives another.
pub(super) fn version_of_chart() -> anyhow::Result<String> {
    let chart: serde_json::Value =
        serde_saphyr::from_str(&fs::read_to_string(repository().join("charts/keyward/Chart.yaml"))?)?;
    Ok(chart["appVersion"].as_str().context("a chart without appVersion")?.to_owned())
}
