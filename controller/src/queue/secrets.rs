//! `AzureKeyVaultSecret`s: into the store, and on to whoever is to look or to clear up.

use std::{collections::HashMap, sync::Arc};

use super::{Leavings, Requests, request_within};
use crate::{
    akvs::Akvs,
    reconcile::Context,
    scope::Place,
    watching::{self, selecting},
};
use futures::StreamExt as _;
use kube::runtime::{
    reflector::{ObjectRef, store::Writer},
    watcher::Event,
};

/// Who is told.
pub(super) struct Told {
    pub(super) context: Arc<Context>,
    pub(super) requests: Requests,
    pub(super) leavings: Leavings,
}

/// Never ends.
pub(super) async fn watch(selector: Option<String>, mut writer: Writer<Akvs>, told: Told) {
    let mut config = selecting();
    config.label_selector = selector;
    let Context { client, scope, refusals, .. } = &*told.context;
    let mut events = watching::watch::<Akvs>(client, scope, &config, refusals);
    let mut lists = HashMap::<Place, Vec<Akvs>>::new();
    while let Some((place, event)) = events.next().await {
        match event {
            Event::Init => drop(lists.insert(place, Vec::new())),
            Event::InitApply(akvs) => lists.entry(place).or_default().push(akvs),
            Event::InitDone => {
                replace(&told.context, &mut writer, &place, lists.remove(&place).unwrap_or_default());
                told.listed(place).await;
            }
            Event::Apply(_) | Event::Delete(_) => {
                writer.apply_watcher_event(&event);
                told.tell(event).await;
            }
        }
    }
}

/// What the store holds of a place is what was listed there. All at once: whom a look does not find, it takes for gone.
fn replace(context: &Context, writer: &mut Writer<Akvs>, place: &Place, listed: Vec<Akvs>) {
    let held = context.store.state();
    let elsewhere = held.iter().filter(|akvs| !place.holds(akvs.namespace())).map(|akvs| Akvs::clone(akvs));
    writer.apply_watcher_event(&Event::Init);
    for akvs in elsewhere.chain(listed) {
        writer.apply_watcher_event(&Event::InitApply(akvs));
    }
    writer.apply_watcher_event(&Event::InitDone);
}

impl Told {
    async fn listed(&self, place: Place) {
        let context = &self.context;
        context.metrics.listed();
        for akvs in context.store.state().iter().filter(|akvs| place.holds(akvs.namespace())) {
            context.touched.touch(akvs.namespace());
        }
        request_within(context, &self.requests, &place).await;
        context.memory.retain(&context.store.state());
        self.leavings.secrets_listed(place);
    }

    async fn tell(&self, event: Event<Akvs>) {
        match event {
            Event::Init | Event::InitApply(_) | Event::InitDone => {}
            Event::Apply(akvs) => {
                self.context.touched.touch(akvs.namespace());
                let _ = self.requests.send(ObjectRef::from_obj(&akvs)).await;
            }
            Event::Delete(akvs) => {
                self.context.memory.forget(akvs.namespace(), akvs.name());
                self.leavings.one(&akvs);
            }
        }
    }
}
