//! As much of `PromQL` as tells which series an expression names: `name{label="value", …}`, and labels in `by (…)`.

use std::collections::BTreeSet;

/// A metric with its matchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    /// Its name.
    pub(crate) metric: String,
    /// Label, operator and value.
    pub(crate) matchers: Vec<(String, String, String)>,
}

impl Selector {
    /// What a label must be equal to, if that is said.
    pub(crate) fn equal(&self, label: &str) -> Option<&str> {
        let found = self.matchers.iter().find(|(name, operator, _)| name == label && operator == "=");
        found.map(|(_, _, value)| value.as_str())
    }
}

const PREFIXES: [&str; 2] = ["keyward_", "apiserver_"];

/// Every series that is named.
pub(crate) fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        let is_metric = word == "up" || PREFIXES.iter().any(|prefix| word.starts_with(prefix));
        let braces = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let matchers = braces.map(|(inner, _)| matchers(inner)).unwrap_or_default();
        if let Some((_, after)) = braces {
            rest = after;
        }
        if is_metric {
            found.push(Selector { metric: word.to_owned(), matchers });
        }
    }
    found
}

fn matchers(inner: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut parts = inner.split('"');
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let name = name.trim_matches([',', ' ']);
        let operator = name.find(['=', '!']).unwrap_or_else(|| panic!("no operator: {inner}"));
        let (name, operator) = name.split_at(operator);
        found.push((name.to_owned(), operator.to_owned(), value.to_owned()));
    }
    found
}

/// The labels that are kept by an aggregation.
pub(crate) fn grouping(expression: &str) -> BTreeSet<String> {
    let lists = expression.split("by (").skip(1).filter_map(|rest| rest.split_once(')'));
    lists.flat_map(|(list, _)| list.split(',').map(|label| label.trim().to_owned())).collect()
}

#[test]
fn series_and_labels_are_found() {
    let expression = r#"histogram_quantile(0.99, sum by (le, vault) (rate(keyward_a_bucket{job="x",code=~"A|B"}[5m]))) > 3 * keyward_b
        unless up{pod!="y"} == 1"#;
    let found = selectors(expression);
    assert_eq!(
        found.iter().map(|one| one.metric.as_str()).collect::<Vec<_>>(),
        ["keyward_a_bucket", "keyward_b", "up"]
    );
    let matchers =
        [("job", "=", "x"), ("code", "=~", "A|B")].map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(found[0].matchers, matchers);
    assert_eq!(found[0].equal("job"), Some("x"));
    assert_eq!(found[0].equal("code"), None);
    assert_eq!(grouping(expression), BTreeSet::from(["le".to_owned(), "vault".to_owned()]));
}
