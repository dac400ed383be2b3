//! `AzureKeyVaultSecret`s: into the store, and on to whoever is to look or to clear up.

use std::sync::Arc;

use super::{Leavings, Requests, request_all};
use crate::{akvs::Akvs, reconcile::Context};
use futures::StreamExt as _;
use kube::{
    Api,
    runtime::{
        WatchStreamExt as _,
        reflector::{ObjectRef, store::Writer},
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

/// Never ends: a watch that breaks is begun again, slower each time.
pub(super) async fn watch(api: Api<Akvs>, selector: Option<String>, mut writer: Writer<Akvs>, told: Told) {
    let config = watcher::Config { label_selector: selector, ..watcher::Config::default() }.page_size(PAGE);
    let mut events = watcher(api, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                writer.apply_watcher_event(&event);
                told.tell(event).await;
            }
            Err(error) => tracing::warn!(%error, "the watch of AzureKeyVaultSecrets is begun again"),
        }
    }
}

impl Told {
    async fn tell(&self, event: Event<Akvs>) {
        match event {
            Event::Init | Event::InitApply(_) => {}
            Event::InitDone => {
                self.context.metrics.listed();
                for akvs in self.context.store.state() {
                    self.context.touched.touch(akvs.namespace());
                }
                request_all(&self.context, &self.requests).await;
                self.context.memory.retain(&self.context.store.state());
                self.leavings.secrets_listed();
            }
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
