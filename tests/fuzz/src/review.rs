//! An `AdmissionReview`, and the pod in it: refused, or changed as it may be.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use json_patch::Patch;
use k8s_openapi::api::core::v1::{Container, Pod};
use keyward_types::Reference;
use keyward_webhook::{
    image::ImageConfig,
    mutate::{Facts, Injection, Unresolved, mutate},
    names::{COPIER, LAUNCHER},
    review::{self, Answer},
    scan::{Scanned, config_maps, scan},
    variables::ConfigMaps,
    wanted::wanted,
};
use serde_json::{Map, Value};

use crate::assert_is_shown_well;

/// What a pod may be told, in lines.
const MAX_WARNINGS: usize = 16;

/// The body of a request to the webhook.
///
/// # Panics
///
/// Where the pod in it is neither refused nor changed as it may be.
pub fn admission_review(bytes: &[u8]) {
    let request = match review::parse(bytes) {
        Ok(request) => request,
        Err(error) => return assert_is_shown_well(&error.to_string()),
    };
    // Read as a whole, numbers may be too large and texts no UTF-8 that are otherwise passed over. No API server sends them.
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    let (Some(pod), Some(object)) = (&request.object, body.pointer("/request/object")) else { return };
    assert_renders(&request.uid);
    let Some(after) = admit(pod, object, &request.namespace, as_looked_up) else { return };
    let pod = serde_json::from_value::<Pod>(after.clone());
    assert!(pod.is_ok(), "what comes out is no pod");
    let Ok(pod) = pod else { return };
    assert_nothing_starts_with_a_literal(&pod);
    let again = changed(&pod, &request.namespace, as_looked_up);
    assert_eq!(again, Some(Patch(Vec::new())), "a pod that comes again is changed again");
}

/// Lets the pod in where it is not refused, and returns it as it is then.
///
/// # Panics
///
/// Where more is changed than may be.
pub(crate) fn admit(
    pod: &Pod,
    object: &Value,
    namespace: &str,
    facts: impl FnOnce(&[Scanned<'_>]) -> Facts,
) -> Option<Value> {
    let patch = changed(pod, namespace, facts)?;
    let mut after = object.clone();
    let applied = json_patch::patch(&mut after, &patch);
    assert!(applied.is_ok(), "the patch does not fit: {applied:?}");
    assert_only_what_is_ours_is_changed(object, &after);
    Some(after)
}

/// `None` where the pod is refused.
fn changed(pod: &Pod, namespace: &str, facts: impl FnOnce(&[Scanned<'_>]) -> Facts) -> Option<Patch> {
    let Some(spec) = &pod.spec else { return Some(Patch(Vec::new())) };
    let none = ConfigMaps::new();
    let named = config_maps(spec);
    let decided = scan(pod, spec, namespace, &none).and_then(|scanned| {
        for one in &scanned {
            assert!(one.missing.iter().all(|name| named.contains(name)), "a ConfigMap that was not looked for");
            wanted(spec, namespace, one.container.image.as_deref().unwrap_or_default());
        }
        mutate(spec, &scanned, &facts(&scanned), &injection())
    });
    match decided {
        Ok(mutation) => {
            assert!(mutation.warnings.len() <= MAX_WARNINGS);
            Some(mutation.patch)
        }
        // The pod's own names stand in it: the API server bounds them, once it has looked.
        Err(denial) => {
            assert!(!denial.to_string().is_empty());
            None
        }
    }
}

fn injection() -> Injection {
    Injection {
        broker: "https://keyward-broker.keyward.svc:8443".to_owned(),
        image: "registry.example/keyward-launcher:1".to_owned(),
        pull_policy: "IfNotPresent".to_owned(),
        cpu: "100m".to_owned(),
        memory: "24Mi".to_owned(),
        deadline: Some("30s".to_owned()),
        unresolved: Unresolved::Warn,
    }
}

/// Images are known of containers that do not say what to start, as at a real review. These bring a reference too.
fn as_looked_up(scanned: &[Scanned<'_>]) -> Facts {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let image = Arc::new(ImageConfig {
        entrypoint: words(&["/entry", "$(HOME)"]),
        cmd: words(&["serve"]),
        env: words(&["PATH=/bin", "IMAGE=image@azurekeyvault"]),
    });
    let asked = scanned.iter().filter(|one| one.needs_image());
    let images = asked.map(|one| (one.container.image.clone().unwrap_or_default(), Arc::clone(&image))).collect();
    Facts { images, ..Facts::default() }
}

fn assert_renders(uid: &str) {
    let answer = Answer::Allowed { patch: Patch(Vec::new()), warnings: Vec::new() };
    let rendered = review::render(uid, &answer).unwrap_or_default();
    let read: Value = serde_json::from_slice(&rendered).unwrap_or_default();
    assert_eq!(read.pointer("/response/uid").and_then(Value::as_str), Some(uid));
}

/// As the kubelet does it: of several variables of one name the last counts.
fn assert_nothing_starts_with_a_literal(pod: &Pod) {
    let Some(spec) = &pod.spec else { return };
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        let is_ours = container.name == COPIER || program(container) == Some(LAUNCHER);
        assert!(is_ours || !has_reference(container), "container {} starts with a literal", container.name);
    }
}

fn program(container: &Container) -> Option<&str> {
    container.command.as_ref()?.first().map(String::as_str)
}

fn has_reference(container: &Container) -> bool {
    let all = container.env.iter().flatten();
    let last: BTreeMap<_, _> = all.map(|one| (&one.name, one.value.as_deref().unwrap_or_default())).collect();
    last.into_values().any(|value| matches!(Reference::parse(value), Some(Ok(_))))
}

/// A container's fields that hold something of ours.
const FIELDS: [&str; 4] = ["command", "args", "env", "volumeMounts"];

fn assert_only_what_is_ours_is_changed(before: &Value, after: &Value) {
    assert_eq!(without_ours(before), without_ours(after));
    assert_is_kept(&before["spec"]["volumes"], &after["spec"]["volumes"]);
    for list in ["initContainers", "containers"] {
        let all = |pod: &'_ Value| own(&pod["spec"][list]);
        for (before, after) in all(before).iter().zip(&all(after)) {
            assert_is_kept(&before["volumeMounts"], &after["volumeMounts"]);
            assert_eq!(foreign(&before["env"]), foreign(&after["env"]));
            let (given, command) = (items(&before["command"]), items(&after["command"]));
            assert!(given.is_empty() || command.ends_with(given), "the command is another");
            let given = items(&before["args"]);
            assert!(given.is_empty() || given == items(&after["args"]), "the arguments are others");
        }
    }
}

/// A list that something may have been put behind.
fn assert_is_kept(before: &Value, after: &Value) {
    assert!(items(after).starts_with(items(before)), "a list's members are others");
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Variables that are not ours.
fn foreign(env: &Value) -> Vec<&Value> {
    let ours = BTreeSet::from([
        "KEYWARD_BROKER",
        "KEYWARD_BROKER_IP",
        "KEYWARD_RESTART_POLICY",
        "KEYWARD_CONTAINER",
        "KEYWARD_REFERENCES",
        "KEYWARD_DEADLINE",
    ]);
    items(env).iter().filter(|one| !one["name"].as_str().is_some_and(|name| ours.contains(name))).collect()
}

/// Containers without the copier.
fn own(list: &Value) -> Vec<Value> {
    items(list).iter().filter(|container| container["name"] != COPIER).cloned().collect()
}

/// What has to be the same before and after.
fn without_ours(pod: &Value) -> Value {
    let mut pod = pod.clone();
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return pod };
    spec.remove("volumes");
    for list in ["initContainers", "containers"] {
        let mut left = own(&spec.remove(list).unwrap_or_default());
        let fields = left.iter_mut().filter_map(Value::as_object_mut);
        fields.for_each(|container: &mut Map<_, _>| FIELDS.iter().for_each(|field| drop(container.remove(*field))));
        spec.insert(list.to_owned(), left.into());
    }
    pod
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(command: &[&str]) -> Value {
        let env = json!([{"name": "DB", "value": "db@azurekeyvault"}, {"name": "MODE", "value": "fast"}]);
        json!({"metadata": {"labels": {}}, "spec": {"containers": [{"name": "app", "command": command, "env": env}]}})
    }

    /// The pod as it is let in, and then changed once more.
    fn let_in_and(change: impl FnOnce(&mut Value)) -> (Value, Value) {
        let before = pod(&["/app"]);
        let typed: Pod = serde_json::from_value(before.clone()).unwrap();
        let mut after = admit(&typed, &before, "shop", as_looked_up).unwrap();
        change(&mut after);
        (before, after)
    }

    #[test]
    fn a_pod_as_it_is_let_in_is_fine() {
        let (before, after) = let_in_and(|_| {});
        assert_ne!(before, after);
        assert_only_what_is_ours_is_changed(&before, &after);
        assert_nothing_starts_with_a_literal(&serde_json::from_value(after).unwrap());
    }

    #[test]
    #[should_panic(expected = "assertion `left == right` failed")]
    fn a_field_that_is_not_ours_and_changes_is_noticed() {
        let (before, after) = let_in_and(|pod| pod["metadata"]["labels"]["more"] = json!("1"));
        assert_only_what_is_ours_is_changed(&before, &after);
    }

    #[test]
    #[should_panic(expected = "assertion `left == right` failed")]
    fn a_variable_that_gets_lost_is_noticed() {
        let (before, after) =
            let_in_and(|pod| drop(pod["spec"]["containers"][0]["env"].as_array_mut().unwrap().remove(1)));
        assert_only_what_is_ours_is_changed(&before, &after);
    }

    #[test]
    #[should_panic(expected = "the command is another")]
    fn another_command_is_noticed() {
        let (before, after) = let_in_and(|pod| pod["spec"]["containers"][0]["command"][3] = json!("/other"));
        assert_only_what_is_ours_is_changed(&before, &after);
    }

    #[test]
    #[should_panic(expected = "container app starts with a literal")]
    fn a_container_without_the_launcher_is_noticed() {
        assert_nothing_starts_with_a_literal(&serde_json::from_value(pod(&["/app"])).unwrap());
    }
}
