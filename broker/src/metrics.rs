//! What the broker counts and shows.
//!
//! | room | holds |
//! |---|---|
//! | [`series`] | every series: name, labels, meaning |
//! | `document` | `docs/metrics.md`, made from it |
//! | [`state`] | what is read from the broker's parts when it is scraped, so that no gauge is forgotten |
//!
//! What happens is counted here, in [`Metrics`].

mod document;
pub mod series;
pub mod state;

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use tonic::Code;

pub use document::document;

use crate::{audit::code_name, events::Outcome, vault::observe::Operation};

/// What every name begins with.
pub const PREFIX: &str = "keyward";

/// From half a millisecond, a warm hit on a busy machine, to the longest a caller may wait.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

/// Counters of events.
#[derive(Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    request_duration: Family<MethodLabel, Histogram>,
    vault_request_duration: Family<OperationLabel, Histogram>,
    events: Family<OutcomeLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

impl Metrics {
    /// Registers every series of this struct.
    pub fn new(registry: &mut Registry) -> Self {
        let seconds = || Histogram::new(SECONDS);
        let metrics = Self {
            requests: Family::default(),
            request_duration: Family::new_with_constructor(seconds),
            vault_request_duration: Family::new_with_constructor(seconds),
            events: Family::default(),
        };
        let series = series::REQUESTS;
        registry.register(series.name, series.help, metrics.requests.clone());
        let series = series::REQUEST_DURATION;
        registry.register(series.name, series.help, metrics.request_duration.clone());
        let series = series::VAULT_REQUEST_DURATION;
        registry.register(series.name, series.help, metrics.vault_request_duration.clone());
        let series = series::EVENTS;
        registry.register(series.name, series.help, metrics.events.clone());
        metrics
    }

    /// One request to `method`, of a bounded number, was answered.
    pub fn answered(&self, method: &'static str, code: Code, took: Duration) {
        self.requests.get_or_create(&RequestLabels { method, code: code_name(code) }).inc();
        self.request_duration.get_or_create(&MethodLabel { method }).observe(took.as_secs_f64());
    }

    /// One request to a vault ended.
    pub fn vault_request(&self, operation: Operation, took: Duration) {
        let label = OperationLabel { operation: operation.as_str() };
        self.vault_request_duration.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// So many more events, or refused deliveries, had this outcome.
    pub fn events(&self, outcome: Outcome, more: u64) {
        self.events.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc_by(more);
    }
}
