//! The parts of Kubernetes metadata that Keyward reads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules::rule_of;

/// `metadata`, without what nobody here looks at.
///
/// Source: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectMeta {
    /// Unique among its kind in a namespace.
    pub name: String,
    /// Absent for cluster-scoped kinds, and in manifests that leave it to `kubectl`.
    pub namespace: Option<String>,
    /// Set by the API server; absent in files.
    pub uid: Option<String>,
    /// Counts changes of `spec`; absent in files.
    pub generation: Option<i64>,
    /// RFC 3339; absent in files.
    pub creation_timestamp: Option<String>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// A label selector; an empty one matches everything, as in Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    /// Every pair must be there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Every requirement must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// One `matchExpressions` entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [rule_of(
    ".values",
    "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0 : \
     !has(self.values) || self.values.size() == 0",
    "In and NotIn need values, Exists and DoesNotExist have none; correct the one or the other",
)]))]
pub struct LabelRequirement {
    /// Label key.
    pub key: String,
    /// How `values` are compared.
    pub operator: LabelOperator,
    /// Empty for `Exists` and `DoesNotExist`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Operators of a label requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// The label is there with one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether `labels` satisfy every part.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
    }
}

impl LabelRequirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            LabelOperator::In => listed,
            LabelOperator::NotIn => !listed,
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_match_as_in_kubernetes() {
        let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
        let requirement = |key: &str, operator, values: &[&str]| LabelSelector {
            match_expressions: vec![LabelRequirement {
                key: key.to_owned(),
                operator,
                values: values.iter().map(|value| (*value).to_owned()).collect(),
            }],
            ..LabelSelector::default()
        };
        let with_label = |value: &str| LabelSelector {
            match_labels: BTreeMap::from([("team".to_owned(), value.to_owned())]),
            ..LabelSelector::default()
        };
        for (selector, expected) in [
            (LabelSelector::default(), true),
            (with_label("shop"), true),
            (with_label("bank"), false),
            (requirement("team", LabelOperator::In, &["shop", "bank"]), true),
            (requirement("team", LabelOperator::NotIn, &["shop"]), false),
            (requirement("tier", LabelOperator::NotIn, &["shop"]), true),
            (requirement("team", LabelOperator::Exists, &[]), true),
            (requirement("tier", LabelOperator::Exists, &[]), false),
            (requirement("tier", LabelOperator::DoesNotExist, &[]), true),
        ] {
            assert_eq!(selector.matches(&labels), expected, "{selector:?}");
        }
    }
}
