//! Working while this replica leads, and only then.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use keyward_kit::tasks::{TaskError, Tasks};
use kube::{
    Client,
    runtime::{
        events::{Recorder, Reporter},
        reflector,
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    authority::{self, Authority, Looks},
    broker::Connection,
    certificates::{Certificates, Outlets, Settings},
    desired::Propagation,
    managed::Managed,
    metrics::Metrics,
    objects::{CONTROLLER, Objects},
    queue::{BrokerWatch, Work},
    reconcile::{Context, Memory},
    restart::{Restarter, Touched},
    scope::Scope,
    watching::Refusals,
};

/// What the work is made of, each time anew.
pub(super) struct Lead {
    pub(super) client: Client,
    pub(super) broker: Connection,
    pub(super) metrics: Arc<Metrics>,
    pub(super) propagation: Propagation,
    pub(super) selector: Option<String>,
    pub(super) scope: Scope,
    /// `None` where workloads are not restarted.
    pub(super) restart_window: Option<Duration>,
    /// Where the authority comes from and what became of it; `None` where it is not published.
    pub(super) authority: Option<(authority::Source, Looks)>,
    /// Keyward's own namespace.
    pub(super) own: String,
    /// What is issued; `None` where somebody else does.
    pub(super) issuing: Option<(Settings, Outlets)>,
    pub(super) identity: String,
    pub(super) drain: Duration,
    pub(super) lease_duration: Duration,
    pub(super) leading: Arc<ArcSwapOption<Context>>,
    pub(super) watch: Arc<BrokerWatch>,
}

impl Lead {
    /// Works whenever `leads` says so, until `shutdown`. An error means that the work itself is broken.
    pub(super) async fn run(
        self,
        mut leads: watch::Receiver<bool>,
        shutdown: CancellationToken,
    ) -> Result<(), TaskError> {
        loop {
            let mut losing = leads.clone();
            let called = shutdown.run_until_cancelled(leads.wait_for(|leads| *leads)).await;
            if !matches!(called, Some(Ok(_))) {
                return Ok(());
            }
            drop(called);
            let lost = async {
                // An election that is gone is lost too.
                let _ = shutdown.run_until_cancelled(losing.wait_for(|leads| !leads)).await;
            };
            tracing::info!("leading");
            let ended = tokio::select! {
                ended = self.work().run_until(lost, self.drain) => ended,
                // Dropped with it is whatever is under way.
                () = self.overdue(leads.clone(), &shutdown) => Ok(()),
            };
            self.leading.store(None);
            match ended {
                // What a look was waiting for is looked at again, here or by another replica.
                Err(error @ TaskError::Stuck { .. }) => tracing::warn!(%error, "looks under way were given up"),
                ended => ended?,
            }
        }
    }

    /// When a leader that has lost its lease, and not because it was told to stop, must have ended: another may begin soon.
    async fn overdue(&self, mut leads: watch::Receiver<bool>, shutdown: &CancellationToken) {
        let _ = leads.wait_for(|leads| !leads).await;
        if shutdown.is_cancelled() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(self.lease_duration / 4).await;
    }

    fn work(&self) -> Tasks {
        let (store, writer) = reflector::store();
        let reporter = Reporter { controller: CONTROLLER.to_owned(), instance: Some(self.identity.clone()) };
        let touched = Touched::default();
        let context = Arc::new(Context {
            client: self.client.clone(),
            objects: Objects::new(self.client.clone(), Arc::clone(&self.metrics)),
            broker: self.broker.clone(),
            managed: Managed::default(),
            store,
            recorder: Recorder::new(self.client.clone(), reporter),
            metrics: Arc::clone(&self.metrics),
            propagation: self.propagation.clone(),
            memory: Memory::default(),
            touched: touched.clone(),
            sees_all: self.selector.is_none(),
            scope: self.scope.clone(),
            refusals: Refusals::default(),
        });
        self.leading.store(Some(Arc::clone(&context)));
        let mut tasks = Tasks::new();
        Work::new(Arc::clone(&context), writer, self.selector.clone()).spawn(&mut tasks, &self.watch);
        self.spawn_certificates(&context, &mut tasks);
        if let Some(window) = self.restart_window {
            Restarter::new(context, window, touched).spawn(&mut tasks);
        }
        tasks
    }

    /// Issuing them, and publishing whom to trust.
    fn spawn_certificates(&self, context: &Context, tasks: &mut Tasks) {
        if let Some((settings, outlets)) = &self.issuing {
            let certificates = Certificates {
                client: self.client.clone(),
                objects: context.objects.clone(),
                recorder: context.recorder.clone(),
                metrics: Arc::clone(&self.metrics),
                settings: settings.clone(),
                outlets: outlets.clone(),
                refusals: context.refusals.clone(),
                looks: self.authority.as_ref().map(|(_, looks)| looks.clone()),
            };
            certificates.spawn(tasks);
        }
        if let Some((source, looks)) = &self.authority {
            let authority = Authority {
                client: self.client.clone(),
                objects: context.objects.clone(),
                recorder: context.recorder.clone(),
                source: source.clone(),
                own: self.own.clone(),
                scope: self.scope.clone(),
                refusals: context.refusals.clone(),
                looks: looks.clone(),
            };
            authority.spawn(tasks);
        }
    }
}
