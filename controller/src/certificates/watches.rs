//! Tells when something that was looked at has changed. Metadata only, one name a watch.

use std::{fmt::Debug, sync::Arc};

use futures::{StreamExt as _, future::join_all};
use k8s_openapi::api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Secret};
use kube::{
    Api, Client,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, watcher},
    },
};
use tokio::sync::Notify;

use super::settings::Settings;

/// Never ends.
pub(super) async fn all(client: Client, settings: Settings, wake: Arc<Notify>) {
    let names = settings.leaves.iter().filter_map(|wanted| wanted.secret.as_ref()).chain([&settings.authority]);
    let secrets = names.map(|name| {
        one(Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), &settings.namespace), name.clone(), &wake)
    });
    let hooks = settings.hooks.iter().map(|name| {
        one(Api::<PartialObjectMeta<MutatingWebhookConfiguration>>::all(client.clone()), name.clone(), &wake)
    });
    tokio::join!(join_all(secrets), join_all(hooks));
}

async fn one<K>(api: Api<PartialObjectMeta<K>>, name: String, wake: &Notify)
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watcher(api, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(_) => wake.notify_one(),
            Err(error) => tracing::warn!(%error, name, "the watch of what certificates need is begun again"),
        }
    }
}
