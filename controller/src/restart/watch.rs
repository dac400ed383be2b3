//! Which workloads ask to be rolled. Metadata only, and of that only their names.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt as _;
use k8s_openapi::{
    api::apps::v1::{DaemonSet, Deployment, StatefulSet},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{core::PartialObjectMeta, runtime::watcher::Event};

use super::{
    Touched,
    workload::{Templated, Workload, WorkloadKind, asks},
};
use crate::{
    reconcile::Context,
    scope::Place,
    watching::{self, selecting},
};

/// Those that ask. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking(Arc<Mutex<HashSet<Workload>>>);

impl Asking {
    /// Those in any of `namespaces`.
    pub(super) fn within(&self, namespaces: &HashSet<String>) -> Vec<Workload> {
        self.lock().iter().filter(|workload| namespaces.contains(&workload.namespace)).cloned().collect()
    }

    /// Forgets every one of `kind` in a place that is not among these: they are all there are.
    fn listed(&self, kind: WorkloadKind, place: &Place, listed: &HashSet<Workload>) {
        self.lock().retain(|it| it.kind != kind || !place.holds(&it.namespace) || listed.contains(it));
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Workload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Never ends.
pub(super) async fn follow(context: Arc<Context>, kind: WorkloadKind, asking: Asking, touched: Touched) {
    match kind {
        WorkloadKind::Deployment => follow_kind::<Deployment>(&context, kind, asking, touched).await,
        WorkloadKind::StatefulSet => follow_kind::<StatefulSet>(&context, kind, asking, touched).await,
        WorkloadKind::DaemonSet => follow_kind::<DaemonSet>(&context, kind, asking, touched).await,
    }
}

async fn follow_kind<K: Templated>(context: &Context, kind: WorkloadKind, asking: Asking, touched: Touched) {
    let Context { client, scope, refusals, .. } = context;
    let mut events = watching::watch::<PartialObjectMeta<K>>(client, scope, &selecting(), refusals);
    let mut lists = HashMap::<Place, HashSet<Workload>>::new();
    while let Some((place, event)) = events.next().await {
        match event {
            Event::Init => drop(lists.insert(place, HashSet::new())),
            Event::InitApply(object) => {
                let workload = named(kind, &object.metadata);
                if asks(&object.metadata) {
                    lists.entry(place).or_default().insert(workload.clone());
                    asking.lock().insert(workload.clone());
                    touched.touch_workload(workload);
                }
            }
            Event::InitDone => asking.listed(kind, &place, &lists.remove(&place).unwrap_or_default()),
            Event::Apply(object) if asks(&object.metadata) => {
                let workload = named(kind, &object.metadata);
                asking.lock().insert(workload.clone());
                touched.touch_workload(workload);
            }
            Event::Apply(object) | Event::Delete(object) => {
                asking.lock().remove(&named(kind, &object.metadata));
            }
        }
    }
}

fn named(kind: WorkloadKind, metadata: &ObjectMeta) -> Workload {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Workload { kind, namespace: text(&metadata.namespace), name: text(&metadata.name) }
}
