//! What somebody deletes that Keyward has made.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, ResourceExt as _, api::DeleteParams};

use crate::{
    installation::{
        authority::{self, Authority, LEAVES},
        site::Site,
        traffic::{self, Traffic},
    },
    stand::NAMESPACE,
    wait::{SOON, until_true},
};

/// It comes back, and nobody has noticed.
pub(super) async fn what_is_deleted_comes_back(site: &Site) -> anyhow::Result<()> {
    let traffic = Traffic::start(site).await?;
    let secrets: Api<Secret> = Api::namespaced(site.client.clone(), NAMESPACE);
    let authority = Authority::read(&site.client).await?;
    secrets.delete(authority::NAME, &DeleteParams::default()).await?;
    let is_back = async || Ok(Authority::read_opt(&site.client).await?.is_some_and(|now| now.is(&authority)));
    until_true("the same authority back", SOON, is_back).await?;

    for leaf in LEAVES {
        let uid = secrets.get_metadata(leaf).await?.uid();
        secrets.delete(leaf, &DeleteParams::default()).await?;
        let is_back = async || {
            let data = authority::data(&site.client, leaf).await?.unwrap_or_default();
            Ok(["ca.crt", "tls.crt", "tls.key"].iter().all(|key| data.contains_key(*key)))
        };
        until_true(&format!("Secret {leaf} back"), SOON, is_back).await?;
        ensure!(secrets.get_metadata(leaf).await?.uid() != uid, "{leaf} was not deleted");
    }

    for namespace in [traffic::NAMESPACE, NAMESPACE] {
        let maps: Api<ConfigMap> = Api::namespaced(site.client.clone(), namespace);
        let data = maps.get(authority::NAME).await?.data.context("an empty ConfigMap")?;
        maps.delete(authority::NAME, &DeleteParams::default()).await?;
        let is_back =
            async || Ok(maps.get_opt(authority::NAME).await?.and_then(|map| map.data).as_ref() == Some(&data));
        until_true(&format!("ConfigMap keyward-ca of {namespace} back"), SOON, is_back).await?;
    }
    let seen = traffic.end().await?;
    site.note(format!("healing: {seen}"));
    let trusted = authority::trusted(&site.client).await?;
    authority::only(&authority.active()?, &trusted)?;
    seen.nothing_failed()
}
