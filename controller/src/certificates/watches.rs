//! Tells when something that was looked at has changed. Metadata only, one name a watch.

use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _, future::join_all};
use k8s_openapi::api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Secret};
use kube::{Api, Client, core::PartialObjectMeta, runtime::watcher};
use tokio::sync::Notify;

use super::settings::Settings;
use crate::{
    scope::Place,
    watching::{Refusals, Watched, watch_each},
};

/// Where the Secrets are.
pub(super) fn place(settings: &Settings) -> Place {
    Place::Namespace(settings.namespace.as_str().into())
}

/// Never ends.
pub(super) async fn all(client: Client, settings: Settings, refusals: Refusals, wake: Arc<Notify>) {
    let names = settings.leaves.iter().filter_map(|wanted| wanted.secret.as_ref()).chain([&settings.authority]);
    let secrets = Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), &settings.namespace);
    let secrets = each(secrets, place(&settings), names, &refusals, &wake);
    let hooks = Api::<PartialObjectMeta<MutatingWebhookConfiguration>>::all(client);
    let hooks = each(hooks, Place::Cluster, settings.hooks.iter(), &refusals, &wake);
    join_all([secrets.boxed(), hooks.boxed()]).await;
}

/// The objects of these names, each by a watch of its own: the rights are for names.
async fn each<'a, K: Watched>(
    api: Api<K>,
    place: Place,
    names: impl Iterator<Item = &'a String>,
    refusals: &Refusals,
    wake: &Notify,
) {
    let of = |name: &String| watcher::Config::default().fields(&format!("metadata.name={name}"));
    let sources: Vec<_> = names.map(|name| (place.clone(), api.clone(), of(name))).collect();
    let mut events = watch_each(sources, refusals);
    while events.next().await.is_some() {
        wake.notify_one();
    }
}
