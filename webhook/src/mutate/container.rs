//! One container: its command behind the launcher's, its variables, its mounts.

use k8s_openapi::api::core::v1::{Container, PodSpec, VolumeMount};
use serde_json::{Value, json};

use super::{Facts, Injection, entry, references};
use crate::{
    denial::Denial,
    edits::{Edits, Path},
    expand::escape,
    image::ImageConfig,
    names::{CONTAINER, IDENTITY_PATH, IDENTITY_VOLUME, LAUNCHER, LAUNCHER_PATH, LAUNCHER_VOLUME, REFERENCES},
    scan::Scanned,
};

/// A pod that says nothing.
const DEFAULT_RESTART_POLICY: &str = "Always";

/// Lets the launcher start first in one container.
pub(super) fn inject(
    spec: &PodSpec,
    scanned: &Scanned<'_>,
    facts: &Facts,
    injection: &Injection,
    edits: &mut Edits,
) -> Result<(), Denial> {
    let path = Path::spec().field(scanned.list.field()).index(scanned.index);
    if !scanned.is_wrapped {
        wrap(scanned, facts, &path, edits)?;
    }
    let policy = restart_policy(spec, scanned.container);
    add_variables(&variables(scanned, facts, injection, policy)?, scanned.container, &path, edits);
    add_mounts(scanned.container, policy, &path, edits)
}

/// What decides whether the launcher is needed again.
fn restart_policy<'a>(spec: &'a PodSpec, container: &'a Container) -> &'a str {
    let own = container.restart_policy.as_deref();
    own.or(spec.restart_policy.as_deref()).unwrap_or(DEFAULT_RESTART_POLICY)
}

/// `command` becomes the launcher and what the container would have started; `args` stay.
fn wrap(scanned: &Scanned<'_>, facts: &Facts, path: &Path, edits: &mut Edits) -> Result<(), Denial> {
    let container = scanned.container;
    let launcher = [LAUNCHER, "exec", "--"].map(str::to_owned);
    let given = container.command.iter().flatten().cloned();
    if !scanned.needs_image() {
        edits.set(path.field("command"), json!(launcher.into_iter().chain(given).collect::<Vec<_>>()));
        return Ok(());
    }
    let image_name = container.image.as_deref().unwrap_or_default();
    let nothing = || Denial::NothingToRun { container: container.name.clone(), image: image_name.to_owned() };
    let image: &ImageConfig = facts.images.get(image_name).ok_or_else(nothing)?;
    let has_args = container.args.as_ref().is_some_and(|args| !args.is_empty());
    if image.entrypoint.is_empty() && image.cmd.is_empty() && !has_args {
        return Err(nothing());
    }
    // What the image says is not expanded by the kubelet; what the pod says is.
    let escaped = |words: &[String]| words.iter().map(|word| escape(word).into_owned()).collect::<Vec<_>>();
    edits.set(path.field("command"), json!(launcher.into_iter().chain(escaped(&image.entrypoint)).collect::<Vec<_>>()));
    if !has_args && !image.cmd.is_empty() {
        edits.set(path.field("args"), json!(escaped(&image.cmd)));
    }
    Ok(())
}

fn variables(
    scanned: &Scanned<'_>,
    facts: &Facts,
    injection: &Injection,
    policy: &str,
) -> Result<Vec<(&'static str, String)>, Denial> {
    let image = facts.images.get(scanned.container.image.as_deref().unwrap_or_default());
    let references = references(scanned, image);
    if references.len() > keyward_proto::MAX_REFERENCES {
        return Err(Denial::TooMany { container: scanned.container.name.clone(), count: references.len() });
    }
    let names: Vec<String> = references.iter().map(entry).collect();
    let ip = facts.broker_ip.map(|ip| ("KEYWARD_BROKER_IP", ip.to_string()));
    let deadline = injection.deadline.clone().map(|deadline| ("KEYWARD_DEADLINE", deadline));
    let fixed = [
        ("KEYWARD_BROKER", injection.broker.clone()),
        ("KEYWARD_RESTART_POLICY", policy.to_owned()),
        (CONTAINER, scanned.container.name.clone()),
        (REFERENCES, names.join(",")),
    ];
    Ok(fixed.into_iter().chain(ip).chain(deadline).collect())
}

/// Adds what is not there, and puts our value where the container has another: all but the deadline, which is its own.
fn add_variables(variables: &[(&'static str, String)], container: &Container, path: &Path, edits: &mut Edits) {
    let path = path.field("env");
    let there = container.env.as_deref().unwrap_or_default();
    let mut missing = Vec::new();
    for (name, value) in variables {
        let wanted = json!({"name": name, "value": value});
        // Of several the last counts.
        match there.iter().rposition(|variable| variable.name == *name) {
            None => missing.push(wanted),
            Some(_) if *name == "KEYWARD_DEADLINE" => {}
            Some(index) if there[index].value.as_deref() == Some(value) => {}
            Some(index) => edits.replace(path.index(index), wanted),
        }
    }
    edits.append(&path, !there.is_empty(), missing);
}

fn add_mounts(container: &Container, policy: &str, path: &Path, edits: &mut Edits) -> Result<(), Denial> {
    let there = container.volume_mounts.as_deref().unwrap_or_default();
    // Only a container that never starts again may take the launcher away.
    let read_only = policy != "Never";
    let wanted = [
        (
            (LAUNCHER_VOLUME, LAUNCHER_PATH),
            json!({"name": LAUNCHER_VOLUME, "mountPath": LAUNCHER_PATH, "subPath": container.name, "readOnly": read_only}),
        ),
        (
            (IDENTITY_VOLUME, IDENTITY_PATH),
            json!({"name": IDENTITY_VOLUME, "mountPath": IDENTITY_PATH, "readOnly": true}),
        ),
    ];
    let mut missing: Vec<Value> = Vec::new();
    for ((volume, at), mount) in wanted {
        match there.iter().find(|mount| is_at(mount, at)) {
            None => missing.push(mount),
            Some(ours) if ours.name == volume => {}
            Some(VolumeMount { name, mount_path, .. }) => {
                return Err(Denial::Mount {
                    container: container.name.clone(),
                    volume: name.clone(),
                    path: mount_path.clone(),
                });
            }
        }
    }
    edits.append(&path.field("volumeMounts"), !there.is_empty(), missing);
    Ok(())
}

/// At that path or below it.
fn is_at(mount: &VolumeMount, path: &str) -> bool {
    let rest = mount.mount_path.strip_prefix(path);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
