//! Rolls the workloads that ask for it, `keyward.dev/restart-on-change: "true"`, when a version they use has changed.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | `references` | a pod template → the Secrets, `ConfigMap`s and references it uses | none: pure |
//! | `decision` | versions recorded and now → roll, wait, or nothing | none: pure |
//! | `workload` | Deployments, `StatefulSet`s, `DaemonSet`s alike | API server |
//! | `watch` | which workloads ask for it | API server |
//!
//! What a workload was last seen with is recorded on the workload itself, and not in its template: seeing it first, or
//! again after a restart of the controller, rolls nothing.

mod decision;
mod references;
mod watch;
mod workload;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use kube::runtime::events::{Event, EventType};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

pub use self::workload::WorkloadKind;
use self::{
    decision::{Decision, Versions, decide},
    references::References,
    workload::{Loaded, Workload},
};
use crate::{akvs::Akvs, objects::ObjectError, reconcile::Context};

/// Changes that come together are one reason to roll.
const GATHER: Duration = Duration::from_millis(500);
/// For one look at one workload.
const DEADLINE: Duration = Duration::from_secs(15);
/// After an answer of the API server that was no good.
const RETRY: Duration = Duration::from_secs(10);

/// Namespaces in which something changed that workloads may use, and workloads that changed themselves. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Touched(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    touched: Mutex<(HashSet<String>, HashSet<Workload>)>,
    notify: Notify,
}

impl Touched {
    /// Something changed in `namespace`.
    pub fn touch(&self, namespace: &str) {
        let mut touched = self.lock();
        if !touched.0.contains(namespace) {
            touched.0.insert(namespace.to_owned());
        }
        drop(touched);
        self.0.notify.notify_one();
    }

    /// A workload that asks to be rolled changed.
    fn touch_workload(&self, workload: Workload) {
        self.lock().1.insert(workload);
        self.0.notify.notify_one();
    }

    fn take(&self) -> (HashSet<String>, HashSet<Workload>) {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, (HashSet<String>, HashSet<Workload>)> {
        self.0.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why it cannot be told whether a workload is to be rolled. It is looked at again.
#[derive(Debug, thiserror::Error)]
enum RestartError {
    /// The API server's answer.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// It takes too long.
    #[error("the API server does not answer within {DEADLINE:?}")]
    Late,
}

/// Rolls workloads.
pub struct Restarter {
    context: Arc<Context>,
    window: Duration,
    touched: Touched,
    asking: watch::Asking,
    later: HashMap<Workload, Instant>,
}

impl Restarter {
    /// `window` is how long at least lies between two rolls of one workload.
    pub fn new(context: Arc<Context>, window: Duration, touched: Touched) -> Self {
        Self { context, window, touched, asking: watch::Asking::default(), later: HashMap::new() }
    }

    /// Adds its tasks.
    pub fn spawn(self, tasks: &mut keyward_kit::tasks::Tasks) {
        for kind in WorkloadKind::ALL {
            let watch = watch::follow(Arc::clone(&self.context), kind, self.asking.clone(), self.touched.clone());
            let drain = tasks.drain();
            tasks.spawn(kind.watch_name(), async move {
                let _ = drain.run_until_cancelled(watch).await;
                Ok::<_, Infallible>(())
            });
        }
        let drain = tasks.drain();
        tasks.spawn("restarts", self.run(drain));
    }

    async fn run(mut self, drain: CancellationToken) -> Result<(), Infallible> {
        while drain.run_until_cancelled(self.wait()).await.is_some() {
            let (namespaces, workloads) = self.touched.take();
            let now = Instant::now();
            let due: Vec<Workload> =
                self.later.iter().filter(|(_, at)| **at <= now).map(|(it, _)| it.clone()).collect();
            let touched = self.asking.within(&namespaces).into_iter().chain(workloads);
            for workload in due.into_iter().chain(touched).collect::<HashSet<_>>() {
                self.later.remove(&workload);
                let Some(after) = drain.run_until_cancelled(self.look(&workload)).await else { return Ok(()) };
                if let Some(after) = after {
                    self.later.insert(workload, Instant::now() + after);
                }
            }
        }
        Ok(())
    }

    /// Until something is to be looked at.
    async fn wait(&self) {
        let next = self.later.values().min().copied();
        let until = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.touched.0.notify.notified() => tokio::time::sleep(GATHER).await,
            () = until => {}
        }
    }

    /// Looks at one workload, and says after what time again if it is to be.
    async fn look(&self, workload: &Workload) -> Option<Duration> {
        let attempt = timeout(DEADLINE, self.attempt(workload)).await;
        match attempt.unwrap_or(Err(RestartError::Late)) {
            Ok(after) => after,
            Err(error) => {
                tracing::warn!(%workload, %error, "whether it is to be restarted cannot be told; it is tried again");
                Some(RETRY)
            }
        }
    }

    async fn attempt(&self, workload: &Workload) -> Result<Option<Duration>, RestartError> {
        let client = &self.context.objects;
        let Some(loaded) = workload.load(client).await?.filter(Loaded::asks) else { return Ok(None) };
        let current = self.versions(&workload.namespace, &loaded.references);
        match decide(loaded.recorded.as_ref(), &current, loaded.restarted, self.window, Timestamp::now()) {
            Decision::Nothing => Ok(None),
            Decision::Record(versions) => {
                workload.record(client, &loaded, &versions).await?;
                Ok(None)
            }
            Decision::Wait(after) => Ok(Some(after)),
            Decision::Roll { versions, changed } => {
                workload.roll(client, &loaded, &versions, Timestamp::now()).await?;
                tracing::info!(%workload, changed, "restarted: a version that it uses has changed");
                self.context.metrics.restarted(workload.kind);
                self.tell(&loaded, &changed).await;
                Ok(None)
            }
        }
    }

    /// The versions of everything in `references`, by the secret's name.
    fn versions(&self, namespace: &str, references: &References) -> Versions {
        let uses = |akvs: &Akvs| {
            let status = akvs.status.as_ref();
            let holds = |name: Option<&String>, used: &HashSet<String>| name.is_some_and(|name| used.contains(name));
            akvs.namespace() == namespace
                && (references.secrets_by_reference.contains(akvs.name())
                    || holds(status.and_then(|status| status.secret_name.as_ref()), &references.secrets)
                    || holds(status.and_then(|status| status.config_map_name.as_ref()), &references.config_maps))
        };
        let version = |akvs: &Arc<Akvs>| Some((akvs.name().to_owned(), akvs.status.as_ref()?.version.clone()?));
        let all = self.context.store.state();
        all.iter().filter(|akvs| uses(akvs)).filter_map(version).collect::<BTreeMap<_, _>>()
    }

    async fn tell(&self, loaded: &Loaded, changed: &str) {
        let event = Event {
            type_: EventType::Normal,
            reason: "Restarted".to_owned(),
            note: Some(format!("AzureKeyVaultSecret {changed} has another version")),
            action: "Restart".to_owned(),
            secondary: None,
        };
        // The deadline is that of the whole look.
        if let Err(error) = self.context.recorder.publish(&event, &loaded.reference).await {
            tracing::warn!(%error, "the event of a restart is not told");
        }
    }
}
