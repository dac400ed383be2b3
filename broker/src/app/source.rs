//! Where the snapshot comes from, by `--source`: what it says first, and the tasks that keep it current.

use std::{convert::Infallible, sync::Arc};

use keyward_kit::{ready::Readiness, tasks::Tasks};
use tokio::sync::watch;

use super::{StartError, services::Core};
use crate::{
    args::{self, ServeArgs},
    changes::Change,
    cluster::client::Cluster,
    policy::{Defaults, Snapshot},
    source::{
        dir::{Directory, LOOK_EVERY},
        kubernetes::{Audience, Kubernetes, health::Health, status::StatusWriter},
    },
};

/// A source that was opened.
pub(super) enum Source {
    Directory { directory: Directory, digest: u64 },
    Kubernetes { cluster: Box<Cluster>, defaults: Defaults, health: Arc<Health> },
}

impl Source {
    /// Opens it, and reads what can be read at once.
    pub(super) fn open(
        args: &ServeArgs,
        cluster: Option<&Cluster>,
        defaults: Defaults,
    ) -> Result<(Snapshot, Self), StartError> {
        match (&args.source, cluster) {
            (args::Source::Kubernetes, Some(cluster)) => {
                let first = Snapshot::unread(defaults.clone());
                let cluster = Box::new(cluster.clone());
                Ok((first, Self::Kubernetes { cluster, defaults, health: Arc::default() }))
            }
            (args::Source::Kubernetes, None) => Err(StartError::NoCluster("--source kubernetes")),
            (args::Source::Directory(path), _) => {
                let directory = Directory::new(path, defaults);
                let first = directory.read()?;
                let digest = first.digest();
                announce(&first.snapshot);
                Ok((first.snapshot, Self::Directory { directory, digest }))
            }
        }
    }

    /// How its watches are doing, where it has any.
    pub(super) fn health(&self) -> Option<Arc<Health>> {
        match self {
            Self::Directory { .. } => None,
            Self::Kubernetes { health, .. } => Some(Arc::clone(health)),
        }
    }

    /// Keeps the snapshot current from now on.
    pub(super) fn spawn(self, tasks: &mut Tasks, core: &Core, readiness: &Readiness) {
        match self {
            Self::Directory { directory, digest } => spawn_directory(tasks, core, directory, digest),
            Self::Kubernetes { cluster, defaults, health } => {
                let readers = Arc::clone(&core.readers);
                let (verdicts, wanted) = watch::channel(Arc::default());
                let audience = Audience {
                    current: Arc::clone(&core.snapshot),
                    changes: core.changes.clone(),
                    vaults_changed: Box::new(move |snapshot| readers.retain(snapshot)),
                    verdicts,
                    health,
                };
                let started = readiness.require("kubernetes objects");
                let watches = Kubernetes::new(cluster.client.clone(), defaults, audience);
                tasks.spawn("kubernetes objects", watches.run(started, tasks.drain()));
                let writer = StatusWriter::new(cluster.client, wanted);
                let drain = tasks.drain();
                tasks.spawn("status of AzureKeyVaults", async move {
                    writer.run(drain).await;
                    Ok::<_, Infallible>(())
                });
            }
        }
    }
}

fn spawn_directory(tasks: &mut Tasks, core: &Core, directory: Directory, digest: u64) {
    let (readers, changes) = (Arc::clone(&core.readers), core.changes.clone());
    let changed = move |snapshot: &Snapshot| {
        announce(snapshot);
        readers.retain(snapshot);
        changes.tell(Change::Declarations);
    };
    let watch = directory.watch(digest, Arc::clone(&core.snapshot), LOOK_EVERY, changed, tasks.drain());
    tasks.spawn("manifests", async move {
        watch.await;
        Ok::<_, Infallible>(())
    });
}

fn announce(snapshot: &Snapshot) {
    let Defaults { access, .. } = snapshot.defaults();
    tracing::info!(secrets = snapshot.secrets().count(), vaults = snapshot.vaults().count(), ?access, "manifests read");
    for problem in snapshot.problems() {
        tracing::warn!(place = problem.place, object = problem.object, reason = problem.reason, "manifest refused");
    }
}
