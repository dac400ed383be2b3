//! Keyward goes.

use std::cell::Cell;

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
use serde_json::{Value, json};

use crate::{
    apps,
    images::{ENTRYPOINT, PROBE},
    installation::{akv2k8s, authority::CONFIGURATION, release, site::Site, traffic},
    kubectl::kubectl,
    stand::NAMESPACE,
    wait::LOOK_EVERY,
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
    let over = Cell::new(false);
    let uninstalled = async {
        let uninstalled = release::uninstall(release::NAME).await;
        over.set(true);
        uninstalled
    };
    let tried = try_pods(site, &over);
    let ((configuration, service, webhook, broker), (), tried) = futures::try_join!(gone, uninstalled, tried)?;
    site.note(format!("uninstall: {tried} pods tried meanwhile, none refused"));
    let first = configuration < service && configuration < webhook && configuration < broker;
    ensure!(first, "the webhook's configuration went after what answers it");

    ensure!(akv2k8s::seen(&site.client).await? == before, "something of the users' went or was made anew");
    let synced = ["get", "secret", "my-secret-from-akv", "--namespace", "akv-test", "--output=name"];
    kubectl(&synced, "").await?;
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), traffic::NAMESPACE);
    for (name, pod) in with_and_without()? {
        let made =
            pods.create(&PostParams::default(), &pod).await.with_context(|| format!("a pod {name} references"))?;
        ensure!(apps::init_containers(&made).is_empty(), "a pod {name} references was injected by nobody");
    }

    release::uninstall(release::DEFINITIONS).await?;
    ensure!(akv2k8s::seen(&site.client).await? == before, "something went with the definitions' chart");
    Ok(())
}

/// Creates pods, without their being kept, until it is over; how many. None may be refused, whatever has gone already.
async fn try_pods(site: &Site, over: &Cell<bool>) -> anyhow::Result<u32> {
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), traffic::NAMESPACE);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let (both, mut tried) = (with_and_without()?, 0);
    while !over.get() {
        for (name, pod) in &both {
            let created = pods.create(&dry, pod).await;
            created.with_context(|| format!("meanwhile, a pod {name} references"))?;
            tried += 1;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(tried)
}

/// A pod without references and one with.
fn with_and_without() -> anyhow::Result<[(&'static str, Pod); 2]> {
    let pod = |name: &'static str, env: Value| {
        let container = json!({"name": "app", "image": ENTRYPOINT, "command": [PROBE], "env": env});
        anyhow::Ok((name, apps::pod(&json!({"name": name}), &json!({"containers": [container]}))?))
    };
    Ok([pod("without", json!([]))?, pod("with", json!([apps::reference("DB", "db")]))?])
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
