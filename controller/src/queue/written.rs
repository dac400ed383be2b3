//! Objects that carry our label: their revisions into the index, and on to whoever has a part in them.

use std::{collections::HashSet, fmt::Debug, sync::Arc};

use super::{Leavings, Requests, request_all, request_concerned};
use crate::{
    desired::MANAGED_BY,
    reconcile::Context,
    target::{Target, TargetKind},
};
use futures::StreamExt as _;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};

/// Objects in one page of a list.
const PAGE: u32 = 500;

/// Who is told.
pub(super) struct Told {
    pub(super) context: Arc<Context>,
    pub(super) requests: Requests,
    pub(super) leavings: Leavings,
}

/// Never ends.
pub(super) async fn watch(client: Client, kind: TargetKind, told: Told) {
    match kind {
        TargetKind::Secret => watch_kind::<Secret>(client, kind, told).await,
        TargetKind::ConfigMap => watch_kind::<ConfigMap>(client, kind, told).await,
    }
}

async fn watch_kind<K>(client: Client, kind: TargetKind, told: Told)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + 'static,
{
    let config = watcher::Config::default().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1)).page_size(PAGE);
    let mut events = watcher(Api::<PartialObjectMeta<K>>::all(client), config).default_backoff().boxed();
    let mut listed = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                let target = target(kind, &object.metadata);
                told.context.managed.set(target.clone(), &object.metadata);
                listed.insert(target);
            }
            Ok(Event::InitDone) => {
                told.context.managed.retain(kind, &std::mem::take(&mut listed));
                // Whoever is settled is looked at for nothing: a list is rare.
                request_all(&told.context, &told.requests).await;
                told.leavings.listed(kind);
            }
            Ok(Event::Apply(object)) => told.set(kind, &object.metadata).await,
            Ok(Event::Delete(object)) => {
                let target = target(kind, &object.metadata);
                let concerned = told.context.managed.remove(&target);
                request_concerned(&told.context, &told.requests, &target, &concerned).await;
            }
            Err(error) => tracing::warn!(%error, kind = kind.as_str(), "the watch of what was written is begun again"),
        }
    }
}

impl Told {
    async fn set(&self, kind: TargetKind, metadata: &ObjectMeta) {
        let target = target(kind, metadata);
        let concerned = self.context.managed.set(target.clone(), metadata);
        request_concerned(&self.context, &self.requests, &target, &concerned).await;
    }
}

fn target(kind: TargetKind, metadata: &ObjectMeta) -> Target {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Target { kind, namespace: text(&metadata.namespace), name: text(&metadata.name) }
}
