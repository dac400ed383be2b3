//! Which workloads ask to be rolled. Metadata only, and of that only their names.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt as _;
use k8s_openapi::{
    api::apps::v1::{DaemonSet, Deployment, StatefulSet},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};

use super::{
    Touched,
    workload::{Templated, Workload, WorkloadKind, asks},
};

const PAGE: u32 = 500;

/// Those that ask. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking(Arc<Mutex<HashSet<Workload>>>);

impl Asking {
    /// Those in any of `namespaces`.
    pub(super) fn within(&self, namespaces: &HashSet<String>) -> Vec<Workload> {
        self.lock().iter().filter(|workload| namespaces.contains(&workload.namespace)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Workload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Never ends.
pub(super) async fn follow(client: Client, kind: WorkloadKind, asking: Asking, touched: Touched) {
    match kind {
        WorkloadKind::Deployment => follow_kind::<Deployment>(client, kind, asking, touched).await,
        WorkloadKind::StatefulSet => follow_kind::<StatefulSet>(client, kind, asking, touched).await,
        WorkloadKind::DaemonSet => follow_kind::<DaemonSet>(client, kind, asking, touched).await,
    }
}

async fn follow_kind<K: Templated>(client: Client, kind: WorkloadKind, asking: Asking, touched: Touched) {
    let config = watcher::Config::default().page_size(PAGE);
    let mut events = watcher(Api::<PartialObjectMeta<K>>::all(client), config).default_backoff().boxed();
    let mut listed = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                let workload = named(kind, &object.metadata);
                if asks(&object.metadata) {
                    listed.insert(workload.clone());
                    asking.lock().insert(workload.clone());
                    touched.touch_workload(workload);
                }
            }
            Ok(Event::InitDone) => {
                let listed = std::mem::take(&mut listed);
                asking.lock().retain(|workload| workload.kind != kind || listed.contains(workload));
            }
            Ok(Event::Apply(object)) if asks(&object.metadata) => {
                let workload = named(kind, &object.metadata);
                asking.lock().insert(workload.clone());
                touched.touch_workload(workload);
            }
            Ok(Event::Apply(object) | Event::Delete(object)) => {
                asking.lock().remove(&named(kind, &object.metadata));
            }
            Err(error) => tracing::warn!(%error, kind = kind.as_str(), "the watch of workloads is begun again"),
        }
    }
}

fn named(kind: WorkloadKind, metadata: &ObjectMeta) -> Workload {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Workload { kind, namespace: text(&metadata.namespace), name: text(&metadata.name) }
}
