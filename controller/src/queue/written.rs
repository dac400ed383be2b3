//! Objects that carry our label: their revisions into the index, and on to whoever has a part in them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Leavings, Requests, request_concerned, request_within};
use crate::{
    desired::MANAGED_BY,
    reconcile::Context,
    scope::Place,
    target::{Target, TargetKind},
    watching::{self, Watched, selecting},
};
use futures::StreamExt as _;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, core::PartialObjectMeta, runtime::watcher::Event};

/// Who is told.
pub(super) struct Told {
    pub(super) context: Arc<Context>,
    pub(super) requests: Requests,
    pub(super) leavings: Leavings,
}

/// Never ends.
pub(super) async fn watch(kind: TargetKind, told: Told) {
    match kind {
        TargetKind::Secret => watch_kind::<Secret>(kind, told).await,
        TargetKind::ConfigMap => watch_kind::<ConfigMap>(kind, told).await,
    }
}

async fn watch_kind<K: Watched + Resource<Scope = NamespaceResourceScope>>(kind: TargetKind, told: Told) {
    let config = selecting().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
    let Context { client, scope, refusals, managed, .. } = &*told.context;
    let mut events = watching::watch::<PartialObjectMeta<K>>(client, scope, &config, refusals);
    let mut lists = HashMap::<Place, HashSet<Target>>::new();
    while let Some((place, event)) = events.next().await {
        match event {
            Event::Init => drop(lists.insert(place, HashSet::new())),
            Event::InitApply(object) => {
                let target = target(kind, &object.metadata);
                managed.set(target.clone(), &object.metadata);
                lists.entry(place).or_default().insert(target);
            }
            Event::InitDone => {
                managed.retain(kind, &place, &lists.remove(&place).unwrap_or_default());
                // Whoever is settled is looked at for nothing: a list is rare.
                request_within(&told.context, &told.requests, &place).await;
                told.leavings.listed(kind, place);
            }
            Event::Apply(object) => told.set(kind, &object.metadata).await,
            Event::Delete(object) => {
                let target = target(kind, &object.metadata);
                let concerned = managed.remove(&target);
                request_concerned(&told.context, &told.requests, &target, &concerned).await;
            }
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
