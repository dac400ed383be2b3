//! Alerts and dashboard name series that the components export, with labels that these have and values that the documents
//! list; and docs/monitoring.md says of each alert what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "monitoring/documents.rs"]
mod documents;
#[path = "monitoring/promql.rs"]
mod promql;

use std::collections::BTreeSet;

use documents::{Exported, Metric, backticked, exported, text};
use promql::{Selector, grouping, selectors};
use serde_json::Value;

/// What Prometheus itself puts on every series.
const ON_EVERYTHING: [&str; 3] = ["job", "namespace", "pod"];

/// Labels whose values their documents list.
const LISTED: [&str; 7] = ["outcome", "ready", "state", "verdict", "certificate", "phase", "slot"];

/// An expression and what it is of.
struct Expression {
    of: String,
    text: String,
}

fn alerts() -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&text("charts/keyward/alerts/keyward.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&text("charts/keyward/dashboards/keyward.json")).unwrap()
}

fn expressions() -> Vec<Expression> {
    let alerts = alerts().into_iter().map(|alert| Expression {
        of: alert["alert"].as_str().unwrap().to_owned(),
        text: alert["expr"].as_str().unwrap().to_owned(),
    });
    let panels = dashboard()["panels"].as_array().unwrap().clone();
    let targets = panels.into_iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().unwrap().clone();
        targets
            .into_iter()
            .map(move |target| Expression { of: title.clone(), text: target["expr"].as_str().unwrap().to_owned() })
    });
    alerts.chain(targets).collect()
}

/// The metric that a series belongs to, of each job that may have it.
fn metrics<'a>(exported: &'a Exported, selector: &Selector) -> Vec<&'a Metric> {
    let job = selector.equal("job");
    let of_job = exported.iter().filter(|(name, _)| job.is_none_or(|job| job == **name));
    let found = of_job.filter_map(|(_, metrics)| {
        let whole = metrics.get(&selector.metric).filter(|metric| metric.kind != "histogram");
        let part = || {
            let parts = ["_bucket", "_sum", "_count"].iter().find_map(|part| selector.metric.strip_suffix(part));
            metrics.get(parts?).filter(|metric| metric.kind == "histogram")
        };
        whole.or_else(part)
    });
    found.collect()
}

#[test]
fn every_series_is_exported_and_has_the_labels_that_are_asked_for() {
    let exported = exported();
    let expressions = expressions();
    assert!(expressions.len() > 40, "{}", expressions.len());
    for Expression { of, text } in expressions {
        let mut labels: BTreeSet<_> = ON_EVERYTHING.iter().map(|label| (*label).to_owned()).collect();
        labels.insert("le".to_owned());
        let named = selectors(&text);
        assert!(!named.is_empty(), "{of} names no series");
        for selector in named.iter().filter(|selector| selector.metric.starts_with("keyward_")) {
            let metrics = metrics(&exported, selector);
            assert!(!metrics.is_empty(), "{of}: nothing exports {selector:?}");
            for (label, _, value) in &selector.matchers {
                let is_known = |metric: &&Metric| ON_EVERYTHING.contains(&&**label) || metric.labels.contains(label);
                assert!(metrics.iter().any(is_known), "{of}: {} has no label {label}", selector.metric);
                let is_listed =
                    |value: &str| metrics.iter().any(|m| backticked(&m.meaning).iter().any(|one| one == value));
                assert!(
                    !LISTED.contains(&&**label) || value.split('|').all(is_listed),
                    "{of}: {label} is never {value}"
                );
            }
            labels.extend(metrics.iter().flat_map(|metric| metric.labels.clone()));
        }
        let unknown: Vec<_> = grouping(&text).difference(&labels).cloned().collect();
        assert!(unknown.is_empty(), "{of} groups by {unknown:?}");
    }
}

/// Two components export metrics of one name: which is meant must be said, unless it is every one.
#[test]
fn what_several_components_export_is_asked_of_one_or_of_each() {
    let exported = exported();
    for Expression { of, text } in expressions() {
        for selector in selectors(&text) {
            let everybody = metrics(&exported, &selector);
            let by_job = grouping(&text).contains("job");
            assert!(everybody.len() < 2 || by_job, "{of}: whose {}?", selector.metric);
        }
    }
}

/// Series of others are few, and docs/webhook.md or docs/monitoring.md explains them.
#[test]
fn series_of_the_api_server_are_those_that_the_documents_name() {
    let documents = text("docs/webhook.md");
    for Expression { of, text } in expressions() {
        for selector in selectors(&text).iter().filter(|selector| selector.metric.starts_with("apiserver_")) {
            assert!(documents.contains(&selector.metric), "{of}: {}", selector.metric);
        }
    }
}

#[test]
fn every_alert_is_of_one_release_and_explained() {
    let document = text("docs/monitoring.md");
    let explained: BTreeSet<_> =
        backticked(&document).into_iter().filter(|word| word.starts_with("Keyward") && !word.contains(' ')).collect();
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} twice");
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["info", "warning", "critical"].contains(&severity), "{name}: {severity}");
        let row = document.lines().find(|line| line.starts_with(&format!("| `{name}` | {severity} |")));
        assert!(row.is_some(), "docs/monitoring.md has no row for {name}, {severity}");
        assert!(alert["annotations"]["summary"].as_str().is_some(), "{name} has no summary");
        for selector in selectors(alert["expr"].as_str().unwrap()) {
            let of_release = selector.equal("namespace") == Some("RELEASE_NAMESPACE");
            assert!(of_release || selector.metric.starts_with("apiserver_"), "{name}: {}", selector.metric);
        }
    }
    assert_eq!(names, explained, "docs/monitoring.md explains others");
}
