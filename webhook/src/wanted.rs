//! A pod's container → which image is to be looked up, for which node and with whose rights. Pure.

use k8s_openapi::api::core::v1::{NodeSelectorTerm, PodSpec};

use crate::image::Wanted;

const ARCHITECTURE: [&str; 2] = ["kubernetes.io/arch", "beta.kubernetes.io/arch"];
const DEFAULT_ACCOUNT: &str = "default";

/// The lookup of `image`, which a container of this pod names.
pub fn wanted(spec: &PodSpec, namespace: &str, image: &str) -> Wanted {
    let secrets = spec.image_pull_secrets.iter().flatten();
    let account = spec.service_account_name.as_deref().filter(|name| !name.is_empty());
    Wanted {
        image: image.to_owned(),
        architecture: architecture(spec).map(str::to_owned),
        namespace: namespace.to_owned(),
        pull_secrets: secrets.map(|reference| reference.name.clone()).filter(|name| !name.is_empty()).collect(),
        service_account: account.unwrap_or(DEFAULT_ACCOUNT).to_owned(),
    }
}

/// The only architecture of the nodes that the pod asks for. The scheduler takes a node that the selector and one of the
/// terms of the affinity allow.
fn architecture(spec: &PodSpec) -> Option<&str> {
    let selected = ARCHITECTURE.iter().find_map(|label| spec.node_selector.as_ref()?.get(*label));
    if let Some(selected) = selected {
        return Some(selected);
    }
    let required = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &required.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let mut architectures = terms.iter().map(of_term);
    let first = architectures.next()??;
    architectures.all(|other| other == Some(first)).then_some(first)
}

fn of_term(term: &NodeSelectorTerm) -> Option<&str> {
    let mut expressions = term.match_expressions.iter().flatten();
    let found = expressions.find(|one| ARCHITECTURE.contains(&one.key.as_str()) && one.operator == "In")?;
    match found.values.as_deref()? {
        [only] => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(spec: &Value) -> Wanted {
        let mut spec = spec.clone();
        spec["containers"] = json!([]);
        wanted(&serde_json::from_value(spec).unwrap(), "shop", "app:1")
    }

    #[test]
    fn rights_are_those_of_the_pod_and_its_service_account() {
        let all = of(&json!({"imagePullSecrets": [{"name": "b"}, {"name": "a"}, {}], "serviceAccountName": "runner"}));
        assert_eq!((all.pull_secrets, all.service_account.as_str()), (vec!["b".to_owned(), "a".to_owned()], "runner"));
        let none = of(&json!({"serviceAccountName": ""}));
        assert_eq!((none.pull_secrets, none.service_account.as_str()), (Vec::new(), "default"));
    }

    #[test]
    fn the_architecture_is_the_only_one_that_the_pod_can_run_on() {
        let affinity = |terms: Value| json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}});
        let term = |operator: &str, values: &[&str]| {
            json!({"matchExpressions": [
                {"key": "zone", "operator": "In", "values": ["a"]},
                {"key": "kubernetes.io/arch", "operator": operator, "values": values},
            ]})
        };
        for (spec, expected) in [
            (json!({}), None),
            (json!({"nodeSelector": {"kubernetes.io/arch": "arm64"}}), Some("arm64")),
            (json!({"nodeSelector": {"beta.kubernetes.io/arch": "arm64"}}), Some("arm64")),
            (affinity(json!([term("In", &["arm64"])])), Some("arm64")),
            (affinity(json!([term("In", &["arm64"]), term("In", &["arm64"])])), Some("arm64")),
            (affinity(json!([term("In", &["arm64"]), term("In", &["amd64"])])), None),
            (affinity(json!([term("In", &["arm64"]), {"matchExpressions": []}])), None),
            (affinity(json!([term("In", &["arm64", "amd64"])])), None),
            (affinity(json!([term("NotIn", &["arm64"])])), None),
            (affinity(json!([])), None),
        ] {
            assert_eq!(of(&spec).architecture.as_deref(), expected, "{spec}");
        }
    }
}
