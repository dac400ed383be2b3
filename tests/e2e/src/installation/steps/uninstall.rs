//! Keyward goes.

use anyhow::{Context as _, ensure};
use futures::TryStreamExt as _;
use k8s_openapi::{
    api::{
        admissionregistration::v1::MutatingWebhookConfiguration,
        apps::v1::Deployment,
        core::v1::{Pod, Service},
    },
    serde::de::DeserializeOwned,
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{PostParams, WatchEvent, WatchParams},
};
use serde_json::json;

use crate::{
    apps,
    images::ENTRYPOINT,
    installation::{akv2k8s, authority::CONFIGURATION, release, site::Site, traffic},
    kubectl::kubectl,
    stand::NAMESPACE,
};

pub(super) async fn what_is_the_users_stays(site: &Site) -> anyhow::Result<()> {
    let before = akv2k8s::seen(&site.client).await?;
    let gone = async {
        let client = site.client.clone();
        let configuration = deleted(Api::<MutatingWebhookConfiguration>::all(client.clone()), CONFIGURATION);
        let service = deleted(Api::<Service>::namespaced(client.clone(), NAMESPACE), "keyward-webhook");
        let webhook = deleted(Api::<Deployment>::namespaced(client.clone(), NAMESPACE), "keyward-webhook");
        let broker = deleted(Api::<Deployment>::namespaced(client, NAMESPACE), "keyward-broker");
        futures::try_join!(configuration, service, webhook, broker)
    };
    let ((configuration, service, webhook, broker), ()) = futures::try_join!(gone, release::uninstall(release::NAME))?;
    let first = configuration < service && configuration < webhook && configuration < broker;
    ensure!(first, "the webhook's configuration went after what answers it");

    ensure!(akv2k8s::seen(&site.client).await? == before, "something of the users' went or was made anew");
    let synced = ["get", "secret", "my-secret-from-akv", "--namespace", "akv-test", "--output=name"];
    kubectl(&synced, "").await?;
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), traffic::NAMESPACE);
    for (name, env) in [("without", json!([])), ("with", json!([apps::reference("DB", "db")]))] {
        let container = json!({"name": "app", "image": ENTRYPOINT, "env": env});
        let pod = apps::pod(&json!({"name": name}), &json!({"containers": [container]}))?;
        let made =
            pods.create(&PostParams::default(), &pod).await.with_context(|| format!("a pod {name} references"))?;
        ensure!(apps::init_containers(&made).is_empty(), "a pod {name} references was injected by nobody");
    }

    release::uninstall(release::DEFINITIONS).await?;
    ensure!(akv2k8s::seen(&site.client).await? == before, "something went with the definitions' chart");
    Ok(())
}

/// The revision of the whole cluster at which an object was deleted that is there now.
async fn deleted<K>(api: Api<K>, name: &str) -> anyhow::Result<u64>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let from = api.get_metadata(name).await?.resource_version().context("no version")?;
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut events = std::pin::pin!(api.watch_metadata(&params, &from).await?);
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Deleted(object) = event {
            return Ok(object.resource_version().context("no version")?.parse()?);
        }
    }
    anyhow::bail!("the watch of {name} ended before it was deleted")
}
