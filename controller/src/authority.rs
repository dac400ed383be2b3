//! Publishes the broker's authority: the `ConfigMap` `keyward-ca` in every namespace labelled for injection, from which
//! launchers learn whom to trust, and in Keyward's own, for operators. Only the leader does, in tasks of its own.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | `bundle` | certificates in PEM; those in a directory's `ca.crt`, and nothing else of it | files |
//! | `decision` | there should be, there is → write it, or leave it and why | none: pure |
//! | `looks` | what is known of each namespace between two looks | none: pure |
//! | `watches` | which namespaces are labelled, and where the `ConfigMap` changed | API server |
//!
//! It is no output of an `AzureKeyVaultSecret`: it has a field manager of its own, which nobody's deletion releases. A
//! namespace that loses its label keeps it, because pods that run there mount it.

mod bundle;
mod decision;
mod looks;
#[cfg(test)]
mod tests;
mod watches;

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use kube::{
    Client,
    core::PartialObjectMeta,
    runtime::{
        controller::{self, Action, applier},
        events::{Event, EventType, Recorder},
        reflector::{self, ObjectRef, Store},
    },
};
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

pub use self::{bundle::Bundle, looks::Looks};
use self::{
    bundle::Follower,
    decision::{Decision, Foreign, decide},
    watches::{Told, Watching},
};
use crate::{
    backoff::Cause,
    desired::MANAGED_BY,
    objects::{ObjectError, Objects},
    queue::{ending, received},
    scope::Scope,
    target::{Target, TargetKind},
    watching::Refusals,
};

/// The `ConfigMap`'s name.
const NAME: &str = "keyward-ca";
/// Its key.
const KEY: &str = "ca.crt";
/// Whose part in it is ours. No UID follows `keyward-`, so that it is no `AzureKeyVaultSecret`'s.
const MANAGER: &str = "keyward-controller-ca";

/// Looks at a time: a label on many namespaces at once must not push other work aside.
const CONCURRENT: u16 = 8;
/// What is told and not taken in yet. Whoever tells waits.
const WAITING: usize = 256;
/// For one look.
const DEADLINE: Duration = Duration::from_secs(15);

/// A namespace that is labelled for injection.
type Labelled = PartialObjectMeta<Namespace>;
type Requests = mpsc::Sender<ObjectRef<Labelled>>;

/// What publishing needs.
pub struct Authority {
    /// For watches.
    pub client: Client,
    /// For the `ConfigMap`s.
    pub objects: Objects,
    /// For events.
    pub recorder: Recorder,
    /// Where the authority comes from.
    pub source: Source,
    /// Keyward's own namespace, which has it whatever its labels are.
    pub own: String,
    /// Which of the others are looked after.
    pub scope: Scope,
    /// What may not be seen.
    pub refusals: Refusals,
    /// What becomes of it.
    pub looks: Looks,
}

/// Where the authority comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The directory that holds `ca.crt`.
    Directory(PathBuf),
    /// Whoever issues certificates here.
    Issued(watch::Receiver<Option<Bundle>>),
}

/// What all looks share.
struct Shared {
    objects: Objects,
    recorder: Recorder,
    looks: Looks,
    bundle: watch::Receiver<Option<Bundle>>,
}

/// Why a look did not end well. There is another.
#[derive(Debug, thiserror::Error)]
enum LookError {
    /// The API server's answer.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// It takes too long.
    #[error("the API server does not answer within {DEADLINE:?}")]
    Late,
}

/// What became of a look.
enum Outcome {
    /// It is as it should be.
    Kept(Bundle),
    /// It was written.
    Wrote(Bundle),
    /// It is somebody else's.
    Foreign { why: Foreign, uid: String },
    /// Something has to happen first, and will be told.
    Waits,
}

impl Authority {
    /// Adds its tasks: they run until `tasks` drain.
    pub fn spawn(self, tasks: &mut keyward_kit::tasks::Tasks) {
        match self.source.clone() {
            Source::Directory(directory) => {
                let (publish, bundle) = watch::channel(None);
                let told = self.spawn_publishing(bundle, tasks);
                let follower = Follower::new(directory, publish);
                let following = async move { follower.run(|| told.all()).await };
                tasks.spawn("authority", ending(tasks.drain(), following));
            }
            Source::Issued(mut bundle) => {
                let told = self.spawn_publishing(bundle.clone(), tasks);
                let following = async move {
                    // Whoever issues lives as long as this does.
                    while bundle.changed().await.is_ok() {
                        told.all().await;
                    }
                    std::future::pending::<()>().await;
                };
                tasks.spawn("authority", ending(tasks.drain(), following));
            }
        }
    }

    /// All but where it comes from.
    fn spawn_publishing(self, bundle: watch::Receiver<Option<Bundle>>, tasks: &mut keyward_kit::tasks::Tasks) -> Told {
        let Self { client, objects, recorder, looks, own, scope, refusals, source: _ } = self;
        let watching = Watching { client, scope, refusals };
        looks.clear();
        let (store, writer) = reflector::store();
        let (requests, requested) = mpsc::channel(WAITING);
        let told = Told { store: store.clone(), requests, looks: looks.clone(), own: own.into() };
        let drain = tasks.drain();
        let namespaces = watches::namespaces(watching.clone(), writer, told.clone());
        tasks.spawn("labelled namespaces", ending(drain.clone(), namespaces));
        tasks.spawn("published authorities", ending(drain.clone(), watches::config_maps(watching, told.clone())));
        let shared = Arc::new(Shared { objects, recorder, looks, bundle });
        let requests = received(requested).take_until(drain.cancelled_owned()).map(Ok::<_, Infallible>);
        tasks.spawn("publishing", publish_all(shared, store, requests));
        told
    }
}

/// Looks at whatever is requested, one look at a time for each namespace.
async fn publish_all(
    shared: Arc<Shared>,
    store: Store<Labelled>,
    requests: impl futures::Stream<Item = Result<ObjectRef<Labelled>, Infallible>>,
) -> Result<(), Infallible> {
    let one = |namespace, shared| Box::pin(async { Ok::<Action, Infallible>(reconcile(namespace, shared).await) });
    let never = |_, error: &Infallible, _| match *error {};
    let config = controller::Config::default().concurrency(CONCURRENT);
    applier(one, never, shared, store, requests, config).for_each(|_| std::future::ready(())).await;
    Ok(())
}

/// Looks at one namespace, and says when to look again if nothing happens.
async fn reconcile(namespace: Arc<Labelled>, shared: Arc<Shared>) -> Action {
    let name = namespace.metadata.name.as_deref().unwrap_or_default();
    // Nothing new can be made in one that is on its way out, and nobody is to wait for it.
    if namespace.metadata.deletion_timestamp.is_some() {
        shared.looks.forget(name);
        return Action::await_change();
    }
    if let Some(pause) = shared.looks.pause(name, Instant::now()) {
        return Action::requeue(pause);
    }
    match timeout(DEADLINE, look(name, &shared)).await.unwrap_or(Err(LookError::Late)) {
        Ok(Outcome::Kept(bundle)) => shared.looks.kept(name, &bundle),
        Ok(Outcome::Wrote(bundle)) => {
            tracing::debug!(namespace = name, "the authority is published");
            shared.looks.wrote(name, &bundle, Instant::now(), fastrand::f64());
        }
        Ok(Outcome::Waits) => shared.looks.waits(name),
        Ok(Outcome::Foreign { why, uid }) => tell_foreign(name, &why, uid, &shared).await,
        Err(error) => return failed(name, &error, &shared),
    }
    Action::await_change()
}

async fn look(namespace: &str, shared: &Shared) -> Result<Outcome, LookError> {
    let Some(bundle) = shared.bundle.borrow().clone() else { return Ok(Outcome::Waits) };
    let target = Target { kind: TargetKind::ConfigMap, namespace: namespace.to_owned(), name: NAME.to_owned() };
    let observed = shared.objects.get(&target).await?;
    let (force, resource_version) = match decide(observed.as_ref(), &bundle) {
        Decision::Keep => return Ok(Outcome::Kept(bundle)),
        Decision::Wait => return Ok(Outcome::Waits),
        Decision::Leave(why) => {
            let uid = observed.map(|observed| observed.uid).unwrap_or_default();
            return Ok(Outcome::Foreign { why, uid });
        }
        Decision::Create => (false, None),
        Decision::Apply { resource_version } => (true, Some(resource_version)),
    };
    let mut metadata = json!({"namespace": namespace, "name": NAME, "labels": {MANAGED_BY.0: MANAGED_BY.1}});
    if let Some(resource_version) = resource_version {
        metadata["resourceVersion"] = resource_version.into();
    }
    let data = json!({KEY: bundle.as_str()});
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
    shared.objects.apply(&target, MANAGER, force, &body).await?;
    Ok(Outcome::Wrote(bundle))
}

/// In the log and by an event, once.
async fn tell_foreign(namespace: &str, why: &Foreign, uid: String, shared: &Shared) {
    let message = why.to_string();
    if !shared.looks.foreign(namespace, &message) {
        return;
    }
    tracing::warn!(namespace, message, "the authority is not published");
    let reference = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("ConfigMap".to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(NAME.to_owned()),
        uid: Some(uid),
        ..ObjectReference::default()
    };
    let event = Event {
        type_: EventType::Warning,
        reason: "NotOwned".to_owned(),
        note: Some(message),
        action: "Publish".to_owned(),
        secondary: None,
    };
    let told = timeout(DEADLINE, shared.recorder.publish(&event, &reference)).await;
    if !matches!(told, Ok(Ok(()))) {
        tracing::debug!(namespace, "its event is not told");
    }
}

fn failed(namespace: &str, error: &LookError, shared: &Shared) -> Action {
    let cause = match error {
        LookError::Object(ObjectError::Refused { .. }) => Cause::Standing,
        _ => Cause::Passing,
    };
    let message = error.to_string();
    let (pause, is_new) = shared.looks.failed(namespace, cause, &message, Instant::now(), fastrand::f64());
    if is_new {
        tracing::warn!(namespace, message, "the authority is not published; it is tried again");
    }
    Action::requeue(pause)
}
