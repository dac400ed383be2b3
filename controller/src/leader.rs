//! One replica at a time works: the one that holds a Lease.
//!
//! A lease is taken and renewed by replacing the revision that was looked at, so that of two who try one fails. Whether
//! another's lease has run out is told by how long it has been seen unchanged here, never by comparing clocks. A leader
//! that cannot renew stops working before anybody else may begin.

mod lease;

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use self::lease::{Seen, Step};

/// For one look at the lease.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Which lease, and how long it lasts.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who this replica is.
    pub identity: String,
    /// How long a lease lasts that is not renewed.
    pub duration: Duration,
}

/// Takes part in the election.
pub struct Election {
    api: Api<Lease>,
    config: LeaseConfig,
    leads: Arc<watch::Sender<bool>>,
}

impl Election {
    /// Nobody leads yet. What this replica is, is heard from the receiver.
    pub fn new(client: Client, config: LeaseConfig) -> (Self, watch::Receiver<bool>) {
        let (leads, heard) = watch::channel(false);
        let api = Api::namespaced(client, &config.namespace);
        (Self { api, config, leads: Arc::new(leads) }, heard)
    }

    /// Runs until `shutdown`, and then gives the lease back once `stopped` says that the work has ended.
    pub async fn run(self, shutdown: CancellationToken, stopped: CancellationToken) {
        let mut seen = Seen::default();
        let mut renewed: Option<Instant> = None;
        loop {
            let asked = Instant::now();
            let until = self.end_of(renewed).map_or(asked + TIMEOUT, |end| end.min(asked + TIMEOUT));
            match timeout_at(until, self.attempt(&mut seen)).await {
                Ok(Ok(true)) => renewed = Some(asked),
                Ok(Ok(false)) => renewed = None,
                Ok(Err(error)) => {
                    tracing::warn!(%error, lease = self.config.name, "the lease is neither taken nor renewed");
                }
                Err(_) => tracing::warn!(lease = self.config.name, "the API server does not answer about the lease"),
            }
            renewed = self.still(renewed);
            let next = Instant::now() + self.pause();
            let wake = self.end_of(renewed).map_or(next, |end| end.min(next));
            if shutdown.run_until_cancelled(sleep_until(wake)).await.is_none() {
                break;
            }
            renewed = self.still(renewed);
        }
        self.say(false);
        stopped.cancelled().await;
        if renewed.is_some() {
            self.give_back(&seen).await;
        }
    }

    /// Says whether this replica leads, having renewed then, and forgets a renewal that is too long ago.
    fn still(&self, renewed: Option<Instant>) -> Option<Instant> {
        let renewed = renewed.filter(|_| self.end_of(renewed).is_some_and(|end| Instant::now() < end));
        self.say(renewed.is_some());
        renewed
    }

    /// When a leader that renewed then stops: after two thirds of the lease, the rest being for its work to end.
    fn end_of(&self, renewed: Option<Instant>) -> Option<Instant> {
        renewed.map(|renewed| renewed + self.config.duration.mul_f64(2.0 / 3.0))
    }

    /// How often a holder renews, and others look: several times in a lease.
    fn pause(&self) -> Duration {
        self.config.duration.mul_f64(0.12 + 0.03 * fastrand::f64())
    }

    fn say(&self, leads: bool) {
        let changed = self.leads.send_if_modified(|led| std::mem::replace(led, leads) != leads);
        if changed {
            tracing::info!(lease = self.config.name, identity = self.config.identity, leads, "election");
        }
    }

    /// Whether the lease is this replica's after one look at it.
    async fn attempt(&self, seen: &mut Seen) -> Result<bool, kube::Error> {
        let found = self.api.get_opt(&self.config.name).await?;
        seen.look(found.as_ref(), Instant::now());
        let written = match lease::step(found, seen, &self.config, Instant::now()) {
            Step::Create(lease) => self.api.create(&PostParams::default(), &lease).await,
            Step::Replace(lease) => self.api.replace(&self.config.name, &PostParams::default(), &lease).await,
            Step::Leave => return Ok(false),
        };
        match written {
            Ok(lease) => {
                seen.look(Some(&lease), Instant::now());
                Ok(true)
            }
            // Somebody else was faster.
            Err(kube::Error::Api(refusal)) if refusal.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// So that another replica need not wait until it runs out.
    async fn give_back(&self, seen: &Seen) {
        let Some(lease) = lease::given_back(seen, &self.config) else { return };
        let params = PostParams::default();
        let replace = self.api.replace(&self.config.name, &params, &lease);
        if let Ok(Err(error)) = tokio::time::timeout(TIMEOUT, replace).await.map_err(|_| ()) {
            tracing::debug!(%error, "the lease is not given back; it runs out");
        }
    }
}

#[cfg(test)]
mod tests;
