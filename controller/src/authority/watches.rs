//! Which namespaces are labelled, and where the `ConfigMap` changed. Metadata only.
//!
//! Keyward's own namespace is put among the labelled ones.

use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client,
    core::{PartialObjectMeta, PartialObjectMetaExt as _},
    runtime::{
        WatchStreamExt as _,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};

use super::{Labelled, Looks, NAME, Requests};

/// The label of a namespace whose pods are injected into.
const INJECTED: &str = "azure-key-vault-env-injection=enabled";
/// Objects in one page of a list.
const PAGE: u32 = 500;

/// Who is told.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) store: Store<Labelled>,
    pub(super) requests: Requests,
    pub(super) looks: Looks,
    /// Keyward's own namespace.
    pub(super) own: Arc<str>,
}

/// Never ends.
pub(super) async fn namespaces(client: Client, mut writer: Writer<Labelled>, told: Told) {
    let config = watcher::Config::default().labels(INJECTED).page_size(PAGE);
    let mut events = watcher(Api::<Labelled>::all(client), config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                for event in told.with_own(event) {
                    writer.apply_watcher_event(&event);
                    told.namespace(event).await;
                }
            }
            Err(error) => tracing::warn!(%error, "the watch of labelled namespaces is begun again"),
        }
    }
}

/// Never ends.
pub(super) async fn config_maps(client: Client, told: Told) {
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}")).page_size(PAGE);
    let mut events = watcher(Api::<PartialObjectMeta<ConfigMap>>::all(client), config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init | Event::InitApply(_)) => {}
            // What was missed may have been a deletion.
            Ok(Event::InitDone) => told.all().await,
            Ok(Event::Apply(object) | Event::Delete(object)) => {
                told.one(&object.metadata.namespace.unwrap_or_default()).await;
            }
            Err(error) => tracing::warn!(%error, "the watch of published authorities is begun again"),
        }
    }
}

impl Told {
    /// What happened, as if our own namespace were always labelled.
    fn with_own(&self, event: Event<Labelled>) -> Vec<Event<Labelled>> {
        let is_own = |namespace: &Labelled| namespace.metadata.name.as_deref() == Some(&*self.own);
        match event {
            // What the list says of it comes later, and counts.
            Event::Init => {
                let metadata = ObjectMeta { name: Some((*self.own).to_owned()), ..ObjectMeta::default() };
                vec![Event::Init, Event::InitApply(metadata.into_response_partial())]
            }
            Event::Delete(namespace) if is_own(&namespace) && namespace.metadata.deletion_timestamp.is_none() => {
                vec![Event::Apply(namespace)]
            }
            event => vec![event],
        }
    }

    async fn namespace(&self, event: Event<Labelled>) {
        match event {
            Event::Init | Event::InitApply(_) => {}
            Event::InitDone => {
                let names = self.store.state().iter().filter_map(|namespace| namespace.metadata.name.clone()).collect();
                self.looks.retain(&names);
                self.all().await;
            }
            Event::Apply(namespace) => self.one(&namespace.metadata.name.unwrap_or_default()).await,
            // Or it has lost its label: what it holds stays.
            Event::Delete(namespace) => self.looks.forget(&namespace.metadata.name.unwrap_or_default()),
        }
    }

    /// Asks for a look at every labelled namespace.
    pub(super) async fn all(&self) {
        for namespace in self.store.state() {
            self.one(namespace.metadata.name.as_deref().unwrap_or_default()).await;
        }
    }

    /// Asks for a look at one, if it is labelled.
    async fn one(&self, namespace: &str) {
        let reference = ObjectRef::new(namespace);
        if self.store.get(&reference).is_some() {
            self.looks.meet(namespace);
            // Nobody listens any more only when everything ends.
            let _ = self.requests.send(reference).await;
        }
    }
}
