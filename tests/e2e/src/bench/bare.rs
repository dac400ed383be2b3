//! The writes alone: one Secret by server-side apply, one status and one event for each object, all that Keyward writes too,
//! without reading anything and without anybody watching.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{akvs, clear, for_each, name, value};
use crate::{scene::Scene, shop::secrets_of_vaults, stand::CONTROLLER};

pub(super) async fn run(scene: &Scene) -> anyhow::Result<Duration> {
    let namespace = scene.namespace("bare", &[]).await?;
    let client = scene.client().clone();
    let resources = secrets_of_vaults(&client, &namespace);
    let create = async |number: usize| -> anyhow::Result<String> {
        let object: DynamicObject = serde_json::from_value(akvs(&namespace, number))?;
        let made = resources.create(&PostParams::default(), &object).await?;
        made.metadata.uid.context("an object without UID")
    };
    let uids = tokio::sync::Mutex::new(vec![String::new(); super::OBJECTS]);
    for_each(async |number| {
        let uid = create(number).await?;
        uids.lock().await[number] = uid;
        Ok(())
    })
    .await?;
    let uids = uids.into_inner();
    // As whom the controller writes: the API server asks the same of both, and writes down the same.
    let client = CONTROLLER.client(&client).await?;
    let resources = secrets_of_vaults(&client, &namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let began = Instant::now();
    for_each(async |number| {
        let (name, uid) = (name(number), &uids[number]);
        let params = PatchParams::apply(&format!("keyward-{uid}"));
        secrets.patch(&name, &params, &Patch::Apply(secret(&namespace, number, uid))).await?;
        resources.patch_status(&name, &PatchParams::default(), &Patch::Merge(status(number))).await?;
        let event: Event = serde_json::from_value(event(&namespace, number, uid))?;
        events.create(&PostParams::default(), &event).await?;
        Ok(())
    })
    .await?;
    let took = began.elapsed();
    clear(scene, &namespace).await?;
    Ok(took)
}

fn secret(namespace: &str, number: usize, uid: &str) -> Value {
    let owner = json!({
        "apiVersion": "spv.no/v2beta1", "kind": "AzureKeyVaultSecret", "name": name(number), "uid": uid,
        "controller": false, "blockOwnerDeletion": true,
    });
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": name(number), "namespace": namespace, "ownerReferences": [owner],
            "labels": {"app.kubernetes.io/managed-by": "bench"},
        },
        "stringData": {"value": value(number)},
    })
}

fn status(number: usize) -> Value {
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "Synced", "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "message": format!("version 0123456789abcdef0123456789abcdef is in Secret {}", name(number)),
    });
    json!({"status": {
        "conditions": [ready], "observedGeneration": 1, "version": "0123456789abcdef0123456789abcdef",
        "secretName": name(number),
    }})
}

fn event(namespace: &str, number: usize, uid: &str) -> Value {
    let name = name(number);
    json!({
        "metadata": {"name": format!("{name}.bench"), "namespace": namespace},
        "type": "Normal", "reason": "Synced", "action": "Sync", "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "bench", "reportingInstance": "bench",
        "note": format!("version 0123456789abcdef0123456789abcdef is in Secret {name}"),
        "regarding": {
            "apiVersion": "spv.no/v2beta1", "kind": "AzureKeyVaultSecret", "namespace": namespace, "name": name, "uid": uid,
        },
    })
}
