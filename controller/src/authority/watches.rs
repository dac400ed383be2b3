//! Which namespaces are labelled, and where the `ConfigMap` changed. Metadata only, and only of those that are looked after.
//!
//! Keyward's own namespace is put among the labelled ones.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::StreamExt as _;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client,
    core::{PartialObjectMeta, PartialObjectMetaExt as _},
    runtime::{
        reflector::{ObjectRef, Store, store::Writer},
        watcher::Event,
    },
};

use super::{Labelled, Looks, NAME, Requests};
use crate::{
    scope::{Place, Scope},
    watching::{self, Refusals, selecting, watch_each},
};

/// The label of a namespace whose pods are injected into.
const INJECTED: &str = "azure-key-vault-env-injection=enabled";

/// Who is told.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) store: Store<Labelled>,
    pub(super) requests: Requests,
    pub(super) looks: Looks,
    /// Keyward's own namespace.
    pub(super) own: Arc<str>,
}

/// What is watched, and by whom.
#[derive(Clone)]
pub(super) struct Watching {
    pub(super) client: Client,
    pub(super) scope: Scope,
    pub(super) refusals: Refusals,
}

/// Which namespaces there are to be served.
struct Served {
    writer: Writer<Labelled>,
    told: Told,
    /// Places that have not told what there is.
    unheard: HashSet<Place>,
    /// What their lists have told so far.
    lists: HashMap<Place, HashSet<String>>,
}

/// Never ends.
pub(super) async fn namespaces(watching: Watching, writer: Writer<Labelled>, told: Told) {
    let Watching { client, scope, refusals } = watching;
    let unheard = scope.places().into_iter().collect();
    let mut served = Served { writer, told, unheard, lists: HashMap::new() };
    served.begin().await;
    let sources = scope.places().into_iter().map(|place| {
        let config = selecting().labels(INJECTED);
        let config = match &place {
            Place::Cluster => config,
            // Rights by name suffice for it.
            Place::Namespace(name) => config.fields(&format!("metadata.name={name}")),
        };
        (place, Api::<Labelled>::all(client.clone()), config)
    });
    let mut events = watch_each(sources, &refusals);
    while let Some((place, event)) = events.next().await {
        served.take_in(place, event).await;
    }
}

/// Never ends.
pub(super) async fn config_maps(watching: Watching, told: Told) {
    let Watching { client, scope, refusals } = watching;
    let config = selecting().fields(&format!("metadata.name={NAME}"));
    let scope = scope.and(&told.own);
    let mut events = watching::watch::<PartialObjectMeta<ConfigMap>>(&client, &scope, &config, &refusals);
    while let Some((place, event)) = events.next().await {
        match event {
            Event::Init | Event::InitApply(_) => {}
            // What was missed may have been a deletion.
            Event::InitDone => told.within(&place).await,
            Event::Apply(object) | Event::Delete(object) => {
                told.one(&object.metadata.namespace.unwrap_or_default()).await;
            }
        }
    }
}

impl Served {
    /// Our own is there before anything is told. Nothing is looked at before a first list is complete: this is it, and those
    /// of places add to it.
    async fn begin(&mut self) {
        let metadata = ObjectMeta { name: Some((*self.told.own).to_owned()), ..ObjectMeta::default() };
        for event in [Event::Init, Event::InitApply(metadata.into_response_partial()), Event::InitDone] {
            self.writer.apply_watcher_event(&event);
        }
        self.told.one(&self.told.own).await;
    }

    async fn take_in(&mut self, place: Place, event: Event<Labelled>) {
        match event {
            Event::Init => drop(self.lists.insert(place, HashSet::new())),
            Event::InitApply(namespace) => {
                self.lists.entry(place).or_default().insert(name(&namespace));
                self.writer.apply_watcher_event(&Event::Apply(namespace));
            }
            Event::InitDone => self.listed(place).await,
            Event::Apply(namespace) => {
                let name = name(&namespace);
                self.writer.apply_watcher_event(&Event::Apply(namespace));
                self.told.one(&name).await;
            }
            Event::Delete(namespace) => self.gone(namespace),
        }
    }

    /// All that is labelled in a place has been told.
    async fn listed(&mut self, place: Place) {
        let listed = self.lists.remove(&place).unwrap_or_default();
        for known in self.told.store.state() {
            if place.holds(&name(&known)) && !listed.contains(&name(&known)) {
                self.gone((*known).clone());
            }
        }
        self.unheard.remove(&place);
        if self.unheard.is_empty() {
            self.told.looks.retain(&self.told.store.state().iter().map(|namespace| name(namespace)).collect());
        }
        self.told.within(&place).await;
    }

    /// It is gone, or has lost its label: what it holds stays.
    fn gone(&mut self, namespace: Labelled) {
        let name = name(&namespace);
        if *name != *self.told.own {
            self.writer.apply_watcher_event(&Event::Delete(namespace));
            self.told.looks.forget(&name);
        }
    }
}

impl Told {
    /// Asks for a look at every labelled namespace.
    pub(super) async fn all(&self) {
        self.within(&Place::Cluster).await;
    }

    /// The same for those of a place.
    async fn within(&self, place: &Place) {
        for namespace in self.store.state() {
            let name = name(&namespace);
            if place.holds(&name) {
                self.one(&name).await;
            }
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

fn name(namespace: &Labelled) -> String {
    namespace.metadata.name.clone().unwrap_or_default()
}
