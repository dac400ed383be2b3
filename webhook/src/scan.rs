//! A pod, looked at: which containers carry references, in which variables. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use keyward_types::{InvalidReference, Reference};

use crate::{
    denial::Denial,
    names::{COPIER, LAUNCHER},
    variables::{ConfigMaps, Embedded, Sources, Value, Variables},
};

/// One of a pod's two lists of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `spec.initContainers`, sidecars among them.
    Init,
    /// `spec.containers`.
    Main,
}

impl List {
    /// Its field in the pod's spec.
    pub fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Main => "containers",
        }
    }
}

/// A container that the launcher is to start.
#[derive(Debug)]
pub struct Scanned<'a> {
    /// Which list it is in, and where.
    pub list: List,
    /// Its place there.
    pub index: usize,
    /// Itself.
    pub container: &'a Container,
    /// Its variables that are references.
    pub references: BTreeMap<String, Reference>,
    /// Its variables that are references with a part that is not known yet.
    pub hidden: Vec<String>,
    /// `ConfigMap`s that do not exist and may bring references once they do.
    pub missing: Vec<&'a str>,
    /// Whether its command is the launcher already.
    pub is_wrapped: bool,
}

impl Scanned<'_> {
    /// Whether what its image starts must be known.
    pub fn needs_image(&self) -> bool {
        self.container.command.as_ref().is_none_or(Vec::is_empty)
    }
}

/// The `ConfigMap`s that decide about a pod.
pub fn config_maps(spec: &PodSpec) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for (_, _, container) in containers(spec) {
        for source in container.env_from.iter().flatten() {
            names.extend(source.config_map_ref.as_ref().map(|reference| reference.name.as_str()));
        }
        for variable in container.env.iter().flatten() {
            let selector = variable.value_from.as_ref().and_then(|from| from.config_map_key_ref.as_ref());
            names.extend(selector.map(|selector| selector.name.as_str()));
        }
    }
    names
}

/// The containers that are to be injected, as they stand in the pod.
pub fn scan<'a>(
    pod: &'a Pod,
    spec: &'a PodSpec,
    namespace: &'a str,
    config_maps: &'a ConfigMaps,
) -> Result<Vec<Scanned<'a>>, Denial> {
    let sources = Sources { namespace, metadata: &pod.metadata, config_maps };
    let mut found = Vec::new();
    for (list, index, container) in containers(spec) {
        let scanned = scan_container(list, index, container, sources)?;
        let counts = scanned.is_wrapped || !scanned.references.is_empty() || !scanned.hidden.is_empty();
        if counts || !scanned.missing.is_empty() {
            found.push(scanned);
        }
    }
    match found.iter().find(|scanned| !scanned.references.is_empty() || !scanned.hidden.is_empty()) {
        Some(scanned) if is_windows(spec) => {
            let variable = scanned.references.keys().chain(&scanned.hidden).next().cloned().unwrap_or_default();
            Err(Denial::Windows { container: scanned.container.name.clone(), variable })
        }
        // Nothing of it can run on Windows, and nothing has to.
        None if is_windows(spec) => Ok(Vec::new()),
        _ => Ok(found),
    }
}

fn scan_container<'a>(
    list: List,
    index: usize,
    container: &'a Container,
    sources: Sources<'a>,
) -> Result<Scanned<'a>, Denial> {
    let name = || container.name.clone();
    let variables = Variables::of(container, sources).map_err(|Embedded { place, name: of }| {
        Denial::EmbeddedInVariable { container: name(), variable: place, name: of }
    })?;
    let (mut references, mut hidden) = (BTreeMap::new(), Vec::new());
    for (variable, value) in variables.iter() {
        if *value == Value::Hidden {
            hidden.push(variable.to_owned());
        }
        match value.text().and_then(Reference::parse) {
            Some(Ok(reference)) => drop(references.insert(variable.to_owned(), reference)),
            Some(Err(of)) => {
                return Err(Denial::Malformed { container: name(), variable: variable.to_owned(), rule: rule(&of) });
            }
            None => {}
        }
    }
    for (place, words) in [("command", &container.command), ("args", &container.args)] {
        if let Some(of) = words.iter().flatten().find_map(|word| variables.first_reference_in(word)) {
            return Err(Denial::EmbeddedInCommand { container: name(), place, name: of.to_owned() });
        }
    }
    let is_wrapped = container.command.iter().flatten().next().is_some_and(|program| program == LAUNCHER);
    let missing = variables.missing().collect();
    Ok(Scanned { list, index, container, references, hidden, missing, is_wrapped })
}

/// What a value breaks, without showing it: it may be a `ConfigMap`'s that not everybody may read.
fn rule(broken: &InvalidReference) -> &'static str {
    match broken {
        InvalidReference::Name(_) => {
            "what stands before it is not the name of an AzureKeyVaultSecret (lower-case letters, digits, `-` and `.`)"
        }
        InvalidReference::Query(_) => {
            "what follows it is not `?QUERY` (a letter or `_`, then letters, digits, `_`, `.` and `-`)"
        }
        InvalidReference::TrailingSpace(_) => "white space follows it; remove it (in YAML, `|-` instead of `|`)",
    }
}

/// All but the copier.
fn containers(spec: &PodSpec) -> impl Iterator<Item = (List, usize, &Container)> {
    let init = spec.init_containers.iter().flatten().enumerate();
    let init = init.map(|(index, container)| (List::Init, index, container));
    let main = spec.containers.iter().enumerate().map(|(index, container)| (List::Main, index, container));
    init.filter(|(_, _, container)| container.name != COPIER).chain(main)
}

fn is_windows(spec: &PodSpec) -> bool {
    let selected = spec.node_selector.as_ref().and_then(|selector| selector.get("kubernetes.io/os"));
    spec.os.as_ref().is_some_and(|os| os.name == "windows") || selected.is_some_and(|os| os == "windows")
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "cases are literals")]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn shown(spec: Json, config_maps: &ConfigMaps) -> Result<Vec<String>, String> {
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        let spec = pod.spec.as_ref().unwrap();
        let scanned = scan(&pod, spec, "shop", config_maps).map_err(|denial| denial.to_string())?;
        let one = |scanned: &Scanned<'_>| {
            let references: Vec<_> = scanned.references.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let Scanned { list, index, container, hidden, missing, is_wrapped, .. } = scanned;
            let wrapped = if *is_wrapped { " wrapped" } else { "" };
            format!("{}/{index} {} {references:?} {hidden:?} {missing:?}{wrapped}", list.field(), container.name)
        };
        Ok(scanned.iter().map(one).collect())
    }

    fn of(spec: Json) -> Result<Vec<String>, String> {
        shown(spec, &ConfigMaps::new())
    }

    fn app(more: Json) -> Json {
        let mut container = json!({"name": "app", "env": [{"name": "DB", "value": "db@azurekeyvault?user"}]});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        container
    }

    #[test]
    fn containers_with_references_are_found_in_both_lists_and_the_copier_is_passed_over() {
        let spec = json!({
            "initContainers": [
                {"name": "keyward-copier", "env": [{"name": "A", "value": "a@azurekeyvault"}]},
                {"name": "sidecar", "restartPolicy": "Always", "env": [{"name": "A", "value": "a@azurekeyvault"}]},
            ],
            "containers": [{"name": "plain", "env": [{"name": "A", "value": "x@azurekeyvault.example"}]}, app(json!({}))],
        });
        let expected = [
            r#"initContainers/1 sidecar ["A=a@azurekeyvault"] [] []"#,
            r#"containers/1 app ["DB=db@azurekeyvault?user"] [] []"#,
        ];
        assert_eq!(of(spec).unwrap(), expected);
    }

    #[test]
    fn the_config_maps_that_decide_are_those_of_env_and_env_from() {
        let spec: PodSpec = serde_json::from_value(json!({
            "initContainers": [{"name": "a", "envFrom": [{"configMapRef": {"name": "one"}}, {"secretRef": {"name": "no"}}]}],
            "containers": [{"name": "b", "env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "two", "key": "k"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k"}}},
            ]}],
        }))
        .unwrap();
        assert_eq!(config_maps(&spec).into_iter().collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn a_config_map_that_is_yet_to_come_is_reason_enough() {
        let container = json!({"name": "app", "envFrom": [{"configMapRef": {"name": "late", "optional": true}}]});
        let maps = ConfigMaps::from([("late".to_owned(), None)]);
        let found = shown(json!({"containers": [container.clone()]}), &maps).unwrap();
        assert_eq!(found, [r#"containers/0 app [] [] ["late"]"#]);
        let maps = ConfigMaps::from([("late".to_owned(), Some(BTreeMap::new()))]);
        assert!(shown(json!({"containers": [container]}), &maps).unwrap().is_empty());
    }

    #[test]
    fn a_wrapped_container_is_one_of_ours_without_references_too() {
        let wrapped = json!({"name": "app", "command": ["/azure-keyvault/keyward-launcher", "exec", "--", "app"]});
        assert_eq!(of(json!({"containers": [wrapped]})).unwrap(), ["containers/0 app [] [] [] wrapped"]);
    }

    #[test]
    fn what_would_start_with_a_literal_is_denied_with_the_fix() {
        for (container, expected) in [
            (app(json!({"args": ["--db", "$(DB)"]})), "container app: args expands $(DB), which is a reference: "),
            (app(json!({"command": ["app", "--db=$(DB)"]})), "container app: command expands $(DB)"),
            (
                json!({"name": "app", "env": [{"name": "DB", "value": "d@azurekeyvault"}, {"name": "URL", "value": "x:$(DB)"}]}),
                "container app: variable URL has $(DB), which is a reference, inside of a longer text",
            ),
            (
                json!({"name": "app", "env": [{"name": "DB", "value": "DB@azurekeyvault"}]}),
                "container app: variable DB says `@azurekeyvault` and is no reference: what stands before it",
            ),
            (
                json!({"name": "app", "env": [{"name": "DB", "value": "db@azurekeyvault\n"}]}),
                "container app: variable DB says `@azurekeyvault` and is no reference: white space follows it",
            ),
        ] {
            let denied = of(json!({"containers": [container]})).unwrap_err();
            assert!(denied.starts_with(expected), "{denied}");
        }
        let escaped = app(json!({"args": ["$$(DB)", "$(OTHER)"]}));
        assert_eq!(of(json!({"containers": [escaped]})).unwrap().len(), 1);
    }

    #[test]
    fn windows_is_refused_where_there_is_a_reference_and_left_alone_otherwise() {
        for asks in [json!({"os": {"name": "windows"}}), json!({"nodeSelector": {"kubernetes.io/os": "windows"}})] {
            let mut spec = asks.clone();
            spec["containers"] = json!([app(json!({}))]);
            let denied = of(spec).unwrap_err();
            assert!(denied.starts_with("container app: variable DB refers to Azure Key Vault"), "{denied}");
            let mut spec = asks;
            spec["containers"] = json!([{"name": "app", "envFrom": [{"configMapRef": {"name": "late"}}]}]);
            assert!(of(spec).unwrap().is_empty());
        }
    }
}
