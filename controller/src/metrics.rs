//! What the controller counts and shows. [`docs/controller.md`](../../docs/controller.md) lists it; a test compares.

mod state;

use std::{sync::Arc, time::Duration};

use keyward_crds::conditions::Reason;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

pub use self::state::State;
use crate::restart::WorkloadKind;

/// What every name begins with.
pub const PREFIX: &str = "keyward";

/// From a look that changes nothing to the longest one may take.
const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0, 60.0];

/// Counters of events.
#[derive(Debug)]
pub struct Metrics {
    looks: Histogram,
    failures: Family<ReasonLabel, Counter>,
    writes: Family<WriteLabels, Counter>,
    restarts: Family<KindLabel, Counter>,
    lists: Counter,
    certificates: Family<CertificateLabel, Counter>,
    certificate_failures: Family<ReasonLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: &'static str,
    verb: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabel {
    certificate: &'static str,
}

impl Metrics {
    /// Registers every series of this struct.
    pub fn new(registry: &mut Registry) -> Arc<Self> {
        let metrics = Self {
            looks: Histogram::new(SECONDS),
            failures: Family::default(),
            writes: Family::default(),
            restarts: Family::default(),
            lists: Counter::default(),
            certificates: Family::default(),
            certificate_failures: Family::default(),
        };
        let help = "Looks at an AzureKeyVaultSecret that was not settled, from its fetch to its status";
        registry.register("sync_duration_seconds", help, metrics.looks.clone());
        let help = "Looks that did not end well, by the reason of the condition";
        registry.register("sync_failures", help, metrics.failures.clone());
        let help = "Writes of outputs, statuses and workloads that the API server took, by kind and verb";
        registry.register("object_writes", help, metrics.writes.clone());
        registry.register("restarts", "Workloads rolled because a version changed, by kind", metrics.restarts.clone());
        let help = "Times that all AzureKeyVaultSecrets were listed anew";
        registry.register("secret_lists", help, metrics.lists.clone());
        let help = "Certificates issued, by whose they are; authority for one that signs";
        registry.register("certificates_issued", help, metrics.certificates.clone());
        let help = "Times that keeping certificates could not go on: authority, foreign, read, write or issue";
        registry.register("certificate_failures", help, metrics.certificate_failures.clone());
        Arc::new(metrics)
    }

    /// One look at a secret that was not settled has ended.
    pub fn looked(&self, took: Duration) {
        self.looks.observe(took.as_secs_f64());
    }

    /// It did not end well.
    pub fn failed(&self, reason: Reason) {
        self.failures.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
    }

    /// An object was written.
    pub fn wrote(&self, kind: &'static str, verb: &'static str) {
        self.writes.get_or_create(&WriteLabels { kind, verb }).inc();
    }

    /// A workload was rolled.
    pub fn restarted(&self, kind: WorkloadKind) {
        self.restarts.get_or_create(&KindLabel { kind: kind.as_str() }).inc();
    }

    /// A certificate was issued.
    pub fn issued(&self, certificate: &'static str) {
        self.certificates.get_or_create(&CertificateLabel { certificate }).inc();
    }

    /// Something about certificates did not go on.
    pub fn certificate_failed(&self, reason: &'static str) {
        self.certificate_failures.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// All secrets were listed anew.
    pub fn listed(&self) {
        self.lists.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_every_series() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/controller.md");
        let document = std::fs::read_to_string(path).unwrap();
        let mut registry = Registry::with_prefix(PREFIX);
        let metrics = Metrics::new(&mut registry);
        metrics.failed(Reason::Conflict);
        metrics.wrote("Secret", "apply");
        metrics.restarted(WorkloadKind::Deployment);
        metrics.issued("broker");
        metrics.certificate_failed("read");
        let mut scraped = String::new();
        prometheus_client::encoding::text::encode(&mut scraped, &registry).unwrap();
        let described = scraped.lines().filter_map(|line| line.strip_prefix("# HELP "));
        let names: Vec<&str> = described.filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names.len(), 7);
        for name in names.into_iter().chain(state::NAMES) {
            assert!(document.contains(&format!("`{name}")), "docs/controller.md does not name {name}");
        }
    }
}
