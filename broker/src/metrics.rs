//! What the broker counts. One struct, registered once; state is read at scrape time so that no gauge is forgotten.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};
use tonic::Code;

use crate::{audit::code_name, cache::ObjectCache, policy::Snapshot, vault::origin::Origin};

/// From half a millisecond, a warm hit on a busy machine, to the longest a caller may wait.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

/// Counters of events.
#[derive(Debug)]
pub struct Metrics {
    resolves: Family<CodeLabel, Counter>,
    resolve_duration: Histogram,
    fetches: Family<CodeLabel, Counter>,
    fetch_duration: Histogram,
    vault_requests: Family<VaultRequestLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VaultRequestLabels {
    vault: String,
    operation: &'static str,
    status: &'static str,
}

impl Metrics {
    /// Registers every series of this struct.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            resolves: Family::default(),
            resolve_duration: Histogram::new(SECONDS),
            fetches: Family::default(),
            fetch_duration: Histogram::new(SECONDS),
            vault_requests: Family::default(),
        };
        registry.register("resolve", "Resolve requests answered, by gRPC code", metrics.resolves.clone());
        registry.register_with_unit(
            "resolve_duration",
            "Time from a Resolve request to its answer",
            Unit::Seconds,
            metrics.resolve_duration.clone(),
        );
        registry.register("fetch", "Fetch requests answered, by gRPC code", metrics.fetches.clone());
        registry.register_with_unit(
            "fetch_duration",
            "Time from a Fetch request to its answer",
            Unit::Seconds,
            metrics.fetch_duration.clone(),
        );
        registry.register(
            "vault_requests",
            "Requests sent to Key Vault, challenges included, by vault, operation and HTTP status (`none` for no answer)",
            metrics.vault_requests.clone(),
        );
        metrics
    }

    /// One `Resolve` was answered.
    pub fn resolved(&self, code: Code, took: Duration) {
        self.resolves.get_or_create(&CodeLabel { code: code_name(code) }).inc();
        self.resolve_duration.observe(took.as_secs_f64());
    }

    /// One `Fetch` was answered.
    pub fn fetched(&self, code: Code, took: Duration) {
        self.fetches.get_or_create(&CodeLabel { code: code_name(code) }).inc();
        self.fetch_duration.observe(took.as_secs_f64());
    }

    /// One request to a vault was answered with `status`, or with nothing.
    pub fn vault_request(&self, vault: &Origin, operation: &'static str, status: Option<u16>) {
        let labels = VaultRequestLabels { vault: vault.to_string(), operation, status: status_label(status) };
        self.vault_requests.get_or_create(&labels).inc();
    }
}

/// The statuses that Key Vault is known to send, each by itself: whatever a server makes up, labels stay few.
fn status_label(status: Option<u16>) -> &'static str {
    match status {
        None => "none",
        Some(200) => "200",
        Some(401) => "401",
        Some(403) => "403",
        Some(404) => "404",
        Some(408) => "408",
        Some(429) => "429",
        Some(500) => "500",
        Some(503) => "503",
        Some(504) => "504",
        Some(_) => "other",
    }
}

/// The cache's and the manifests' state, read when scraped.
pub struct State {
    /// What is held.
    pub cache: ObjectCache,
    /// What the manifests say.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let totals = self.cache.totals();
        let snapshot = self.snapshot.load();
        for (name, help, count) in [
            ("cache_hits", "Objects answered from memory", totals.hits),
            ("cache_misses", "Objects that had to be waited for", totals.misses),
        ] {
            let metric = ConstCounter::new(count);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        for (name, help, value) in [
            ("cache_entries", "Objects held", totals.entries),
            ("cache_max_bytes", "The bound on the cache's estimated memory", totals.max_bytes),
            ("cache_bytes", "Estimated memory of the objects held", totals.bytes),
            ("secrets", "AzureKeyVaultSecrets that hold", snapshot.secrets().count() as u64),
            ("manifest_problems", "Manifests that do not hold", snapshot.problems().len() as u64),
        ] {
            let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}
