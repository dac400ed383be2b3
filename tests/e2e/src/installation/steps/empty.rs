//! A cluster on which nothing is.

use std::{path::Path, time::Instant};

use anyhow::ensure;

use crate::{
    installation::{
        first::{self, first_injected_pod},
        release::{self, CHART},
        site::Site,
    },
    kubectl::kubectl,
    stand::NAMESPACE,
};

/// Nothing but the command of the README, without the chart of the definitions.
pub(super) async fn one_command_is_enough_on_an_empty_cluster(site: &Site) -> anyhow::Result<()> {
    let began = Instant::now();
    release::install(&site.values, Path::new(CHART), &[]).await?;
    first_injected_pod(site).await?;
    let took = began.elapsed().as_secs_f32();
    site.note(format!("{took:.1} s from `helm install` to the first injected pod running, images not yet on the node"));
    release::until_ready().await?;
    site.delete("v1", "Namespace", &[first::NAMESPACE]).await?;
    release::uninstall(release::NAME).await?;
    let left = kubectl(&["get", "crds", "--output=name"], "").await?.stdout;
    ensure!(left.lines().count() == 2, "of the definitions there are: {left}");
    let definitions = ["azurekeyvaultsecrets.spv.no", "azurekeyvaults.keyward.dev"];
    site.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", &definitions).await?;
    site.delete("v1", "Namespace", &[NAMESPACE]).await
}
