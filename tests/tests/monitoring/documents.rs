//! What the components' documents say of their metrics: `| metric | type | labels | meaning |`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Documents by the job that their component is scraped as.
const DOCUMENTS: [(&str, &str); 3] = [
    ("keyward-broker", "docs/metrics.md"),
    ("keyward-controller", "docs/controller.md"),
    ("keyward-webhook", "docs/webhook.md"),
];

/// A metric of one component.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: String,
    /// The names of its labels.
    pub(crate) labels: BTreeSet<String>,
    /// What the row says of it.
    pub(crate) meaning: String,
}

/// What each job exports, by metric.
pub(crate) type Exported = BTreeMap<&'static str, BTreeMap<String, Metric>>;

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Its text.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All metrics that are documented.
pub(crate) fn exported() -> Exported {
    DOCUMENTS.iter().map(|(job, path)| (*job, text(path).lines().filter_map(row).collect())).collect()
}

fn row(line: &str) -> Option<(String, Metric)> {
    let cells: Vec<_> = line.trim_matches('|').splitn(4, '|').map(str::trim).collect();
    let [name, kind, labels, meaning] = cells.try_into().ok()?;
    let name = name.strip_prefix("`keyward_")?.strip_suffix('`')?;
    let labels = backticked(labels).into_iter().collect();
    Some((format!("keyward_{name}"), Metric { kind: kind.to_owned(), labels, meaning: meaning.to_owned() }))
}

/// What stands between backticks.
pub(crate) fn backticked(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
