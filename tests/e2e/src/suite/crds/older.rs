//! An object that was stored before there were rules, as akv2k8s leaves them. Tried on the definition under another
//! group, so that the one that all tests share keeps its rules.

use anyhow::{Context as _, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keyward_crds::{akvs, crd};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};

use crate::{
    scene::Scene,
    wait::{SOON, until_true},
};

const GROUP: &str = "older.e2e.keyward.dev";

pub(super) async fn an_object_that_is_older_than_a_rule_is_told_of_it_and_stays_writable(
    scene: &Scene,
) -> anyhow::Result<()> {
    let namespace = scene.namespace("older", &[]).await?;
    let resource =
        ApiResource { group: GROUP.to_owned(), api_version: format!("{GROUP}/v2beta1"), ..akvs::api_resource() };
    let api: Api<DynamicObject> = Api::namespaced_with(scene.client().clone(), &namespace, &resource);
    let object = |name: &str| -> DynamicObject {
        DynamicObject::new(name, &resource).data(json!({"spec": {
            "vault": {"name": "acme_prod", "object": {"name": "db", "type": "secret"}},
            "output": {"secret": {"name": "db"}, "transform": ["nope"]},
        }}))
    };
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let accepted = async |name: &str| api.create(&dry, &object(name)).await.is_ok();

    scene.apply(&definition(without_rules)?).await?;
    until_true("a definition without rules", SOON, async || Ok(accepted("probe").await)).await?;
    api.create(&PostParams::default(), &object("old")).await?;
    scene.apply(&definition(|_| ())?).await?;
    until_true("the rules in force", SOON, async || Ok(!accepted("probe").await)).await?;

    let params = PatchParams::default();
    let status = json!({"status": {"version": "1", "conditions": [{
        "type": "Ready", "status": "False", "reason": "Invalid", "message": "It makes no sense.",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}});
    let told = api.patch_status("old", &params, &Patch::Merge(status)).await.context("its status")?;
    ensure!(told.data["status"]["version"] == "1", "{}", told.data);
    let labelled = json!({"metadata": {"labels": {"team": "shop"}}});
    api.patch("old", &params, &Patch::Merge(labelled)).await.context("its labels")?;

    let changed = json!({"spec": {"vault": {"object": {"name": "other"}}}});
    let refused = api.patch("old", &params, &Patch::Merge(changed)).await;
    let reason = refused.err().context("half mended, it was accepted")?.to_string();
    ensure!(reason.contains("spec.output.secret.dataKey: Required value: name the key"), "{reason}");
    let mended = json!({"spec": {
        "vault": {"name": "acme-prod"}, "output": {"secret": {"dataKey": "value"}, "transform": ["trim"]},
    }});
    api.patch("old", &params, &Patch::Merge(mended)).await.context("mended")?;
    Ok(())
}

/// The definition in the other group, changed.
fn definition(change: impl Fn(&mut Value)) -> anyhow::Result<String> {
    let mut crd: CustomResourceDefinition = crd::azure_key_vault_secret()?;
    crd.metadata.name = Some(format!("{}.{GROUP}", crd.spec.names.plural));
    GROUP.clone_into(&mut crd.spec.group);
    // `akvs` and `all` stay those of the kind that all tests share.
    (crd.spec.names.short_names, crd.spec.names.categories) = (None, None);
    let mut crd = serde_json::to_value(crd)?;
    change(&mut crd);
    Ok(crd.to_string())
}

fn without_rules(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("x-kubernetes-validations");
            fields.values_mut().for_each(without_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(without_rules),
        _ => {}
    }
}
