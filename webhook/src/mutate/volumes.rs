//! The pod's two volumes: one in memory for the launcher, one with the pod's token and the broker's authority.

use k8s_openapi::api::core::v1::{PodSpec, Volume};
use serde_json::{Value, json};

use crate::{
    denial::Denial,
    edits::{Edits, Path},
    names::{AUDIENCE, AUTHORITY, AUTHORITY_KEY, IDENTITY_VOLUME, LAUNCHER_VOLUME},
};

/// The token is read once, at the container's start; the kubelet replaces it before it expires.
const TOKEN_SECONDS: u32 = 3_600;

/// Far more than one launcher, however many containers have a link to it.
const LAUNCHER_SIZE: &str = "16Mi";

/// Adds those that are not there.
pub(super) fn add(spec: &PodSpec, edits: &mut Edits) -> Result<(), Denial> {
    let there = |name: &str| spec.volumes.iter().flatten().find(|volume| volume.name == name);
    let mut missing = Vec::new();
    match there(LAUNCHER_VOLUME).map(is_launcher) {
        None => missing.push(launcher()),
        Some(true) => {}
        Some(false) => return Err(Denial::Volume { name: LAUNCHER_VOLUME }),
    }
    match there(IDENTITY_VOLUME).map(is_identity) {
        None => missing.push(identity()),
        Some(true) => {}
        Some(false) => return Err(Denial::Volume { name: IDENTITY_VOLUME }),
    }
    let has_members = spec.volumes.as_ref().is_some_and(|volumes| !volumes.is_empty());
    edits.append(&Path::spec().field("volumes"), has_members, missing);
    Ok(())
}

fn launcher() -> Value {
    json!({"name": LAUNCHER_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": LAUNCHER_SIZE}})
}

fn is_launcher(volume: &Volume) -> bool {
    volume.empty_dir.as_ref().is_some_and(|dir| dir.medium.as_deref() == Some("Memory"))
}

/// Without `optional`: where the authority is yet to be published, the kubelet waits for it.
fn identity() -> Value {
    json!({"name": IDENTITY_VOLUME, "projected": {"sources": [
        {"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": AUTHORITY, "items": [{"key": AUTHORITY_KEY, "path": AUTHORITY_KEY}]}},
    ]}})
}

fn is_identity(volume: &Volume) -> bool {
    let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    sources
        .filter_map(|source| source.service_account_token.as_ref())
        .any(|token| token.audience.as_deref() == Some(AUDIENCE))
}
