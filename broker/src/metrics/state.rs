//! What is read from the broker's parts when it is scraped.

mod cluster;
mod identities;
mod peers;
mod vaults;

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use keyward_kit::tls::{ConnectionCounts, ServerTls};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::series::{self, Kind, Series};
use crate::{
    cache::ObjectCache, cluster::reviews::Reviews, peers::Peers, policy::Current, readers::Readers, setup::BoundPods,
    source::kubernetes::health::Health, vault::azure::AzureVaults,
};

/// The parts that are looked at.
pub struct State {
    /// What is held.
    pub cache: ObjectCache,
    /// What the manifests say.
    pub snapshot: Arc<Current>,
    /// Which vaults are open.
    pub readers: Arc<Readers>,
    /// The other replicas.
    pub peers: Arc<Peers>,
    /// As whom they are read.
    pub azure: Arc<AzureVaults>,
    /// The server's certificates.
    pub tls: ServerTls,
    /// The server's connections.
    pub connections: ConnectionCounts,
    /// How the watches are doing, where there are any.
    pub watches: Option<Arc<Health>>,
    /// What asks the API server for reviews, by whom it is for.
    pub reviews: Vec<(&'static str, Arc<Reviews>)>,
    /// What binds tokens to their pods, where something does.
    pub bound_pods: Option<BoundPods>,
}

/// The values of one label set, and its sample.
type Sample = (Vec<String>, f64);

/// A series and its samples of this moment.
type Samples = (&'static Series, Vec<Sample>);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let parts = [
            self.cache(),
            self.manifests(),
            vaults::samples(self),
            peers::samples(&self.peers, &self.readers),
            identities::samples(self.azure.identities()),
            self.tls(),
            cluster::watches(self.watches.as_deref()),
            cluster::reviews(&self.reviews),
            cluster::bound_pods(self.bound_pods.as_ref()),
        ];
        for (series, samples) in parts.into_iter().flatten() {
            let kind = if series.kind == Kind::Counter { MetricType::Counter } else { MetricType::Gauge };
            let mut encoder = encoder.encode_descriptor(series.name, series.help, None, kind)?;
            for (values, sample) in samples {
                if series.labels.is_empty() {
                    encode(series.kind, sample, encoder)?;
                    break;
                }
                let labels: Vec<(&str, String)> = series.labels.iter().copied().zip(values).collect();
                encode(series.kind, sample, encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

impl State {
    fn cache(&self) -> Vec<Samples> {
        let totals = self.cache.totals();
        // The cache's own sums lag behind what it holds.
        let (held, bytes) =
            self.cache.entries().fold((0, 0), |(held, bytes), (_, entry)| (held + 1, bytes + entry.bytes()));
        vec![
            one(&series::CACHE_HITS, totals.hits),
            one(&series::CACHE_STALE_HITS, totals.stale_hits),
            one(&series::CACHE_MISSES, totals.misses),
            one(&series::CACHE_REFUSALS, totals.refused),
            one(&series::CACHE_OLDER, totals.older),
            one(&series::CACHE_ENTRIES, held),
            one(&series::CACHE_BYTES, bytes as u64),
            one(&series::CACHE_MAX_BYTES, totals.max_bytes),
        ]
    }

    fn manifests(&self) -> Vec<Samples> {
        let snapshot = self.snapshot.load();
        vec![
            one(&series::SECRETS, snapshot.secrets().count() as u64),
            one(&series::MANIFEST_PROBLEMS, snapshot.problems().len() as u64),
        ]
    }

    fn tls(&self) -> Vec<Samples> {
        let mut expiries = Vec::new();
        if let Some(expiry) = self.tls.expiry() {
            expiries.push((vec!["server".to_owned()], unix(expiry.leaf)));
            let authorities = expiry.authorities.into_iter().enumerate();
            expiries.extend(authorities.map(|(n, ends)| (vec![format!("ca-{n}")], unix(ends))));
        }
        let counts = self.connections.now();
        let outcomes = [
            ("accepted", counts.accepted),
            ("refused_peer_limit", counts.refused_peer_limit),
            ("refused_no_certificates", counts.refused_no_certificates),
            ("handshake_failed", counts.handshakes_failed),
        ];
        let outcomes = outcomes.map(|(outcome, count)| (vec![outcome.to_owned()], number(count)));
        vec![
            (&series::CERTIFICATE_EXPIRY, expiries),
            one(&series::CONNECTIONS_OPEN, counts.open),
            (&series::CONNECTIONS, outcomes.into()),
        ]
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count was a u64 before it came here")]
fn encode(kind: Kind, sample: f64, encoder: MetricEncoder<'_>) -> fmt::Result {
    match kind {
        Kind::Counter => ConstCounter::new(sample as u64).encode(encoder),
        Kind::Gauge | Kind::Histogram => ConstGauge::new(sample).encode(encoder),
    }
}

fn one(series: &'static Series, value: u64) -> Samples {
    (series, vec![(Vec::new(), number(value))])
}

#[allow(clippy::cast_precision_loss, reason = "a sample is a double; nothing here comes near 2^53")]
fn number(value: u64) -> f64 {
    value as f64
}

fn unix(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64().floor()
}
