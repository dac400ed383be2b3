//! Which secrets are to be looked at, and looking at them.
//!
//! | room | tells of |
//! |---|---|
//! | `secrets` | `AzureKeyVaultSecret`s that were created, changed or deleted |
//! | `written` | objects that carry our label and were changed or deleted |
//! | `changes` | new versions and new permissions, as the broker tells them |
//! | `leavings` | parts of secrets that are gone |
//!
//! Each of them tells only of the namespaces that are looked after.
//!
//! Nothing is looked at because time has passed: only because somebody told of a change, or because it failed before.

mod changes;
mod leavings;
mod secrets;
#[cfg(test)]
mod tests;
mod written;

use std::{collections::BTreeSet, convert::Infallible, sync::Arc};

use futures::{Stream, StreamExt as _, stream};
use kube::runtime::{
    controller::{self, Action, applier},
    reflector::{ObjectRef, Store, store::Writer},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::changes::BrokerWatch;
use self::leavings::Leavings;
use crate::{
    akvs::Akvs,
    desired,
    reconcile::{Context, reconcile},
    scope::Place,
    target::{Target, TargetKind},
};

/// Looks at a time. More would wait for the API server, whose own limit to one client is of this order.
const CONCURRENT: u16 = 48;
/// What is told and not taken in yet. Whoever tells waits.
const WAITING: usize = 1_024;

type Requests = mpsc::Sender<ObjectRef<Akvs>>;

/// Everything that runs while this replica leads.
pub struct Work {
    context: Arc<Context>,
    writer: Writer<Akvs>,
    selector: Option<String>,
}

impl Work {
    /// `writer` fills the context's store with the `AzureKeyVaultSecret`s of `selector`.
    pub fn new(context: Arc<Context>, writer: Writer<Akvs>, selector: Option<String>) -> Self {
        Self { context, writer, selector }
    }

    /// Adds its tasks: they run until `tasks` drain.
    pub fn spawn(self, tasks: &mut keyward_kit::tasks::Tasks, watch: &Arc<BrokerWatch>) {
        let Self { context, writer, selector } = self;
        let drain = tasks.drain();
        let (requests, requested) = mpsc::channel(WAITING);
        let leavings = Leavings::default();
        for (name, kind) in [("Secret watch", TargetKind::Secret), ("ConfigMap watch", TargetKind::ConfigMap)] {
            let told =
                written::Told { context: Arc::clone(&context), requests: requests.clone(), leavings: leavings.clone() };
            tasks.spawn(name, ending(drain.clone(), written::watch(kind, told)));
        }
        let told =
            secrets::Told { context: Arc::clone(&context), requests: requests.clone(), leavings: leavings.clone() };
        tasks.spawn("AzureKeyVaultSecret watch", ending(drain.clone(), secrets::watch(selector, writer, told)));
        let changes = changes::follow(Arc::clone(&context), Arc::clone(watch), requests);
        tasks.spawn("broker watch", ending(drain.clone(), changes));
        tasks.spawn("what was left", ending(drain.clone(), leavings.clear(Arc::clone(&context))));
        tasks.spawn("looking", look(context, requested, drain));
    }
}

/// `task`, given up when `drain` is cancelled.
pub(crate) async fn ending(drain: CancellationToken, task: impl Future<Output = ()>) -> Result<(), Infallible> {
    // A task that ends by itself is an error of its own, which the supervisor tells.
    let _ = drain.run_until_cancelled(task).await;
    Ok(())
}

/// Looks at whatever is requested, one look at a time for each secret. On `drain` looks under way are finished.
async fn look(
    context: Arc<Context>,
    requested: mpsc::Receiver<ObjectRef<Akvs>>,
    drain: CancellationToken,
) -> Result<(), Infallible> {
    let store: Store<Akvs> = context.store.clone();
    let requests = received(requested).take_until(drain.cancelled_owned()).map(Ok::<_, Infallible>);
    let one = |akvs, context| Box::pin(async { Ok::<Action, Infallible>(reconcile(akvs, context).await) });
    let never = |_, error: &Infallible, _| match *error {};
    let config = controller::Config::default().concurrency(CONCURRENT);
    // What is not there any more when its turn comes is no error: somebody else tells of its end.
    applier(one, never, context, store, requests, config).for_each(|_| std::future::ready(())).await;
    Ok(())
}

/// What comes through a channel.
pub(crate) fn received<T: Send>(receiver: mpsc::Receiver<T>) -> impl Stream<Item = T> + Send {
    stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|item| (item, receiver)) })
}

/// Asks for a look at all whom an object concerns: those with these UIDs, and those that want it and may not have got it.
async fn request_concerned(context: &Context, requests: &Requests, target: &Target, uids: &BTreeSet<String>) {
    for akvs in context.store.state() {
        if desired::wants(&akvs, target) || uids.contains(akvs.uid()) {
            // Nobody listens any more only when everything ends.
            let _ = requests.send(ObjectRef::from_obj(&*akvs)).await;
        }
    }
}

/// Asks for a look at every secret of a place.
async fn request_within(context: &Context, requests: &Requests, place: &Place) {
    for akvs in context.store.state().iter().filter(|akvs| place.holds(akvs.namespace())) {
        let _ = requests.send(ObjectRef::from_obj(&**akvs)).await;
    }
}

/// Asks for a look at every secret.
async fn request_all(context: &Context, requests: &Requests) {
    request_within(context, requests, &Place::Cluster).await;
}
