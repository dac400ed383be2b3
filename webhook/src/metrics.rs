//! What the webhook counts and shows. [`docs/webhook.md`](../../docs/webhook.md) lists it; a test compares.

mod state;

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

pub use self::state::{ImageFigures, State};
use crate::broker::{Checked, Verdict};

/// What every name begins with.
pub const PREFIX: &str = "keyward";

/// From a pod that is nothing to us to the longest that the API server waits.
const SECONDS: [f64; 11] = [0.000_25, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Counters of events.
#[derive(Debug)]
pub struct Metrics {
    reviews: Family<OutcomeLabel, Counter>,
    durations: Histogram,
    checks: Family<OutcomeLabel, Counter>,
    references: Family<VerdictLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: &'static str,
}

/// What became of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The pod is changed so that the launcher starts first.
    Injected,
    /// The pod is admitted as it is.
    Unchanged,
    /// The pod is refused, for what it says itself.
    Denied,
    /// No decision: not in time, or no review that could be read.
    Failed,
}

impl Metrics {
    /// Registers every series of this struct. Those with a fixed set of labels are there from the start: a rate over a
    /// series that begins with its first event misses that event.
    pub fn new(registry: &mut Registry) -> Arc<Self> {
        let metrics = Self {
            reviews: Family::default(),
            durations: Histogram::new(SECONDS),
            checks: Family::default(),
            references: Family::default(),
        };
        for outcome in [Outcome::Injected, Outcome::Unchanged, Outcome::Denied, Outcome::Failed] {
            let _ = metrics.review(outcome);
        }
        for outcome in ["ok", "failed"] {
            let _ = metrics.checks.get_or_create(&OutcomeLabel { outcome });
        }
        for verdict in Verdict::ALL {
            let _ = metrics.references.get_or_create(&VerdictLabel { verdict: verdict.as_str() });
        }
        let help = "Reviews by what became of them: injected, unchanged, denied, failed";
        registry.register("admission_reviews", help, metrics.reviews.clone());
        let help = "A review, from its head to its answer";
        registry.register("admission_duration_seconds", help, metrics.durations.clone());
        let help = "Questions to the broker about a pod's references: ok, failed";
        registry.register("admission_reference_checks", help, metrics.checks.clone());
        let help = "References that were checked, by verdict: known, unknown, forbidden, invalid";
        registry.register("admission_references", help, metrics.references.clone());
        Arc::new(metrics)
    }

    /// A review was answered.
    pub fn reviewed(&self, outcome: Outcome, took: Duration) {
        self.review(outcome).inc();
        self.durations.observe(took.as_secs_f64());
    }

    /// The broker was asked about references; `None` where nothing is known of them.
    pub fn checked(&self, checked: Option<&[Checked]>) {
        let outcome = if checked.is_some() { "ok" } else { "failed" };
        self.checks.get_or_create(&OutcomeLabel { outcome }).inc();
        for Checked { verdict, .. } in checked.unwrap_or_default() {
            self.references.get_or_create(&VerdictLabel { verdict: verdict.as_str() }).inc();
        }
    }

    fn review(&self, outcome: Outcome) -> Counter {
        let outcome = match outcome {
            Outcome::Injected => "injected",
            Outcome::Unchanged => "unchanged",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
        };
        self.reviews.get_or_create_owned(&OutcomeLabel { outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_every_series() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/webhook.md");
        let document = std::fs::read_to_string(path).unwrap();
        let mut registry = Registry::with_prefix(PREFIX);
        let _ = Metrics::new(&mut registry);
        let mut scraped = String::new();
        prometheus_client::encoding::text::encode(&mut scraped, &registry).unwrap();
        let described = scraped.lines().filter_map(|line| line.strip_prefix("# HELP "));
        let names: Vec<&str> = described.filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names.len(), 4);
        for name in names.into_iter().chain(state::NAMES) {
            assert!(document.contains(&format!("`{name}")), "docs/webhook.md does not name {name}");
        }
    }

    #[test]
    fn every_label_is_there_before_its_first_event() {
        let mut registry = Registry::with_prefix(PREFIX);
        let metrics = Metrics::new(&mut registry);
        metrics.reviewed(Outcome::Denied, Duration::from_millis(3));
        let mut scraped = String::new();
        prometheus_client::encoding::text::encode(&mut scraped, &registry).unwrap();
        for line in [
            "keyward_admission_reviews_total{outcome=\"injected\"} 0",
            "keyward_admission_reviews_total{outcome=\"denied\"} 1",
            "keyward_admission_duration_seconds_bucket{le=\"0.005\"} 1",
            "keyward_admission_reference_checks_total{outcome=\"failed\"} 0",
            "keyward_admission_references_total{verdict=\"forbidden\"} 0",
        ] {
            assert!(scraped.contains(&format!("{line}\n")), "{line} is not in\n{scraped}");
        }
    }
}
