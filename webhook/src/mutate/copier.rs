//! The init container that brings the launcher. It runs before all others, so that init containers and sidecars are
//! injected too.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::{Value, json};

use super::Injection;
use crate::{
    edits::{Edits, Path},
    names::{COPIER, LAUNCHER_IN_IMAGE, LAUNCHER_PATH, LAUNCHER_VOLUME},
    scan::Scanned,
};

/// Nobody: what distroless images call `nonroot`.
const USER: u32 = 65_532;

/// Puts it where it belongs, as it must be now.
pub(super) fn put_first(spec: &PodSpec, scanned: &[Scanned<'_>], injection: &Injection, edits: &mut Edits) {
    let list = Path::spec().field("initContainers");
    let there = spec.init_containers.as_deref().unwrap_or_default();
    let arguments = arguments(scanned);
    let wanted = || container(spec, &arguments, injection);
    match there.iter().position(|container| container.name == COPIER) {
        Some(0) if is_as_wanted(&there[0], &arguments, injection) => {}
        Some(0) => edits.replace(list.index(0), wanted()),
        Some(index) => {
            edits.remove(list.index(index));
            edits.insert(&list, 0, wanted());
        }
        None if there.is_empty() => edits.append(&list, false, vec![wanted()]),
        None => edits.insert(&list, 0, wanted()),
    }
}

fn arguments(scanned: &[Scanned<'_>]) -> Vec<String> {
    let containers = scanned.iter().map(|one| one.container.name.clone());
    ["install".to_owned(), LAUNCHER_PATH.to_owned()].into_iter().chain(containers).collect()
}

/// The API server has filled in defaults since; what we set decides.
fn is_as_wanted(there: &Container, arguments: &[String], injection: &Injection) -> bool {
    there.image.as_deref() == Some(&injection.image)
        && there.args.as_deref() == Some(arguments)
        && there.command.as_deref().is_some_and(|command| command == [LAUNCHER_IN_IMAGE])
}

fn container(spec: &PodSpec, arguments: &[String], injection: &Injection) -> Value {
    let resources = json!({"cpu": injection.cpu, "memory": injection.memory});
    json!({
        "name": COPIER,
        "image": injection.image,
        "imagePullPolicy": injection.pull_policy,
        "command": [LAUNCHER_IN_IMAGE],
        "args": arguments,
        // Equal, so that a Guaranteed pod stays one.
        "resources": {"requests": resources, "limits": resources},
        "securityContext": security_context(spec),
        "volumeMounts": [{"name": LAUNCHER_VOLUME, "mountPath": LAUNCHER_PATH}],
    })
}

/// What the `restricted` Pod Security level asks for, whatever the pod's other containers do.
fn security_context(spec: &PodSpec) -> Value {
    let mut context = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    match common_user(spec) {
        // The pod's own counts for the copier too.
        Some(user) if spec.security_context.as_ref().and_then(|context| context.run_as_user) == Some(user) => {}
        Some(user) => context["runAsUser"] = user.into(),
        None => {
            context["runAsUser"] = USER.into();
            context["runAsGroup"] = USER.into();
        }
    }
    context
}

/// The user of all containers, where it is one and not root. The copier takes it: clusters that give each namespace its
/// users would refuse another, and the kubelet would show tokens to everybody in the pod.
fn common_user(spec: &PodSpec) -> Option<i64> {
    let of_pod = spec.security_context.as_ref().and_then(|context| context.run_as_user);
    let all = spec.containers.iter().chain(spec.init_containers.iter().flatten().filter(|one| one.name != COPIER));
    let mut users = all.map(|one| one.security_context.as_ref().and_then(|context| context.run_as_user).or(of_pod));
    let first = users.next()??;
    users.all(|user| user == Some(first)).then_some(first).filter(|user| *user != 0)
}
