//! Watches of one kind of object at every place of a [`Scope`], as one stream.
//!
//! Each place has a watch of its own, which fails and waits for itself alone. What it is not allowed to see is told once,
//! and tried again: rights may come with the namespace they are for.

mod refusals;
#[cfg(test)]
mod tests;

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use kube::{
    Api, Client, Resource,
    core::NamespaceResourceScope,
    runtime::watcher::{self, Error, Event, watcher},
};
use serde::de::DeserializeOwned;

pub use self::refusals::Refusals;
use crate::scope::{Place, Scope};

/// Objects in one page of a list.
const PAGE: u32 = 500;
/// Before a watch is begun again: the first wait, and the longest. Rights that come are noticed within the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(25));
/// After so long without one, an error is the first again.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// What the watches of places tell. Each begins with a list: `Init`, `InitApply` for each object, `InitDone`.
pub(crate) type Events<K> = BoxStream<'static, (Place, Event<K>)>;

/// An object that can be watched.
pub(crate) trait Watched:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static
{
}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static> Watched for K {}

/// Everything of a kind, in pages. Selectors narrow it.
pub(crate) fn selecting() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// Every object of a kind in the scope. Never ends.
pub(crate) fn watch<K>(client: &Client, scope: &Scope, config: &watcher::Config, refusals: &Refusals) -> Events<K>
where
    K: Watched + Resource<Scope = NamespaceResourceScope>,
{
    let sources = scope.places().into_iter().map(|place| {
        let api = place.api(client);
        (place, api, config.clone())
    });
    watch_each(sources, refusals)
}

/// The same for any places and what is watched there. Never ends.
pub(crate) fn watch_each<K: Watched>(
    sources: impl IntoIterator<Item = (Place, Api<K>, watcher::Config)>,
    refusals: &Refusals,
) -> Events<K> {
    refusals.know(&K::plural(&()));
    let one = |(place, api, config)| {
        let watch = Watch::new(place, api, config, refusals.clone());
        stream::unfold(watch, |mut watch| async { Some((watch.next().await?, watch)) }).boxed()
    };
    stream::select_all(sources.into_iter().map(one)).boxed()
}

/// The watch of one place.
struct Watch<K: Watched> {
    place: Place,
    api: Api<K>,
    config: watcher::Config,
    refusals: Refusals,
    events: BoxStream<'static, Result<Event<K>, Error>>,
    errors: u32,
    last: Option<Instant>,
    /// What was said last.
    said: String,
}

impl<K: Watched> Watch<K> {
    fn new(place: Place, api: Api<K>, config: watcher::Config, refusals: Refusals) -> Self {
        let events = watcher(api.clone(), config.clone()).boxed();
        Self { place, api, config, refusals, events, errors: 0, last: None, said: String::new() }
    }

    async fn next(&mut self) -> Option<(Place, Event<K>)> {
        loop {
            match self.events.next().await? {
                Ok(event) => {
                    // What begins a list comes before the API server is asked for it.
                    if !matches!(event, Event::Init) {
                        self.heard();
                    }
                    return Some((self.place.clone(), event));
                }
                Err(error) => {
                    self.failed(&error);
                    tokio::time::sleep(self.wait(Instant::now(), fastrand::f64())).await;
                }
            }
        }
    }

    fn heard(&mut self) {
        if self.errors > 0 && self.refusals.remove(&K::plural(&()), &self.place) {
            tracing::info!(place = %self.place, "what is to be watched may be seen again");
        }
        self.errors = 0;
        self.said.clear();
    }

    fn failed(&mut self, error: &Error) {
        let (message, what) = (error.to_string(), K::plural(&()));
        if is_refusal(error) {
            // Only a list tells when it ends.
            self.events = watcher(self.api.clone(), self.config.clone()).boxed();
            if self.refusals.add(&what, &self.place) {
                tracing::warn!(place = %self.place, message, "the API server refuses to show what is to be watched; it is tried again");
                return;
            }
        } else if self.said != message {
            tracing::warn!(place = %self.place, message, "the watch of {what} is begun again");
            self.said = message;
            return;
        }
        tracing::debug!(place = %self.place, message, "the watch of {what} is begun again");
    }

    /// How long after an error at `now`.
    fn wait(&mut self, now: Instant, chance: f64) -> Duration {
        if self.last.is_some_and(|last| now.duration_since(last) > FORGOTTEN) {
            self.errors = 0;
        }
        self.last = Some(now);
        let doubled = WAITS.0.saturating_mul(1_u32.checked_shl(self.errors).unwrap_or(u32::MAX));
        self.errors = self.errors.saturating_add(1);
        doubled.min(WAITS.1).mul_f64(0.8 + 0.4 * chance)
    }
}

fn is_refusal(error: &Error) -> bool {
    match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error) => {
            matches!(error, kube::Error::Api(status) if status.is_forbidden())
        }
        Error::WatchError(status) => status.is_forbidden(),
        Error::NoResourceVersion => false,
    }
}
