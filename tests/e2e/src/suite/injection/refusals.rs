//! The webhook is away: no program starts with the text of a reference, and nothing else waits.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::{
    admissionregistration::v1::MutatingWebhookConfiguration,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    apps::{Apps, ENABLED, container, pod, refusal},
    images::{ENTRYPOINT, PROBE},
    scene::Scene,
    stand::NAMESPACE,
    wait::{Look, SOON, until},
};

tests![
    without_the_webhook_no_reference_starts_and_everything_else_does,
    the_policy_alone_refuses_a_reference_without_launcher,
];

/// The name of the webhook's configuration and of the policy.
const NAME: &str = "keyward-webhook";

/// The webhook's own name in it.
const WEBHOOK: &str = "pods.keyward.dev";

fn refers() -> Value {
    json!({"containers": [container("app", ENTRYPOINT, json!({"command": [PROBE]}))]})
}

/// Whether a pod would be taken by the API server.
async fn is_taken(scene: &Scene, namespace: &str, spec: &Value) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(scene.client().clone(), namespace);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let made = pods.create(&dry, &pod(&json!({"name": "probe"}), spec)?).await;
    made.map(drop).with_context(|| format!("a pod in {namespace}"))
}

async fn without_the_webhook_no_reference_starts_and_everything_else_does(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let elsewhere = scene.namespace("elsewhere", &[]).await?;
    apps.shop.stand.kill_webhook().await?;
    let checked = async {
        let said = apps.refusal("app", &refers()).await?;
        ensure!(said.contains(WEBHOOK), "{said}");
        let plain = json!({"containers": [{"name": "app", "image": ENTRYPOINT}]});
        is_taken(scene, &apps.shop.namespace, &plain).await?;
        is_taken(scene, &elsewhere, &refers()).await?;
        // Whatever somebody labels, the cluster's own and Keyward's namespace wait for nobody.
        for namespace in ["kube-system", NAMESPACE] {
            label(scene, namespace, json!(ENABLED.1)).await?;
            let taken = is_taken(scene, namespace, &refers()).await;
            label(scene, namespace, Value::Null).await?;
            taken?;
        }
        Ok(())
    }
    .await;
    scene.webhook().await?;
    checked
}

async fn label(scene: &Scene, namespace: &str, value: Value) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(scene.client().clone());
    let patch = Patch::Merge(json!({"metadata": {"labels": {ENABLED.0: value}}}));
    namespaces.patch(namespace, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn the_policy_alone_refuses_a_reference_without_launcher(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    apps.shop.stand.kill_webhook().await?;
    let checked = async {
        // Somebody has told the API server to do without the webhook.
        on_failure(scene, "Ignore").await?;
        let pods = apps.pods();
        let refers = pod(&json!({"name": "app"}), &refers())?;
        let said = until("the policy's refusal", SOON, async || {
            let said = refusal(&pods, &refers).await?;
            Ok(if said.contains("failed calling webhook") { Look::NotYet(said) } else { Look::Found(said) })
        })
        .await?;
        for part in [NAME, "app", "DB"] {
            ensure!(said.contains(part), "{part}: {said}");
        }
        let plain = json!({"containers": [{"name": "app", "image": ENTRYPOINT, "env": [{"name": "A", "value": "b"}]}]});
        is_taken(scene, &apps.shop.namespace, &plain).await
    }
    .await;
    on_failure(scene, "Fail").await?;
    scene.webhook().await?;
    checked
}

/// What the API server does where the webhook does not answer.
async fn on_failure(scene: &Scene, policy: &str) -> anyhow::Result<()> {
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(scene.client().clone());
    let patch = Patch::Strategic(json!({"webhooks": [{"name": WEBHOOK, "failurePolicy": policy}]}));
    configurations.patch(NAME, &PatchParams::default(), &patch).await?;
    Ok(())
}
