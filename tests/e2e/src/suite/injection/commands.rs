//! What a container starts: the webhook says it in the launcher's stead, from the pod or from the image.

use std::collections::BTreeMap;

use anyhow::ensure;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    apps::{Apps, OPT_OUT, container, init_containers, is_injected},
    images::{BOTH, COMMAND, ENTRYPOINT, INDEX, PRIVATE_REGISTRY, PRIVATE_USER, PROBE, REGISTRY},
    report::Report,
    scene::Scene,
    stand::PULL_SECRET,
};

tests![
    every_container_is_started_as_it_would_have_been,
    an_image_that_asks_for_a_password_is_looked_up_with_the_pull_secrets,
    an_image_that_cannot_be_looked_up_is_refused_with_what_to_do,
];

/// One container for each way to say what to start.
fn containers() -> Vec<Value> {
    let both = |name, more| container(name, BOTH, more);
    let mut containers = vec![
        container("command", ENTRYPOINT, json!({"command": [PROBE, "given"]})),
        container(
            "command-and-args",
            ENTRYPOINT,
            json!({"command": [PROBE], "args": ["a b", "$(WORD)", "$$(WORD)", ""]}),
        ),
        container("args", ENTRYPOINT, json!({"args": ["only", "$(WORD)"]})),
        container("entrypoint", ENTRYPOINT, json!({})),
        container("image-command", COMMAND, json!({})),
        both("both", json!({})),
        both("both-and-args", json!({"args": ["mine"]})),
        both("elsewhere", json!({"workingDir": "/tmp", "securityContext": {"runAsUser": 4711, "runAsGroup": 4712}})),
        container("index", INDEX, json!({})),
    ];
    for one in &mut containers {
        if let Some(env) = one["env"].as_array_mut() {
            env.push(json!({"name": "WORD", "value": "a word"}));
        }
    }
    containers
}

async fn every_container_is_started_as_it_would_have_been(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let spec = json!({"hostname": "same", "containers": containers()});
    let (label, value) = OPT_OUT;
    let alone = apps.start_with(&json!({"name": "alone", "labels": {label: value}}), &spec).await?;
    let injected = apps.start("injected", &spec).await?;
    is_injected(&injected)?;
    ensure!(init_containers(&alone).is_empty(), "it was to be left alone");
    for one in containers() {
        let name = one["name"].as_str().unwrap_or_default();
        let (before, after) = (apps.report("alone", name).await?, apps.report("injected", name).await?);
        before.check(&[("DB", "db@azurekeyvault")])?;
        after.check(&[("DB", "kwcanary-db")])?;
        if before.env.contains_key("FROM_IMAGE") {
            after.check(&[("FROM_IMAGE", "kwcanary-db")])?;
        }
        let (before, after) = (comparable(before), comparable(after));
        ensure!(before == after, "{name}: without {before:?}, with {after:?}");
    }
    Ok(())
}

/// All but what must differ.
fn comparable(report: Report) -> Report {
    let resolved = |(name, hash)| if matches!(name, "DB" | "FROM_IMAGE") { (name, "") } else { (name, hash) };
    let env: BTreeMap<_, _> = report.env.iter().map(|(name, hash)| resolved((name.as_str(), hash.as_str()))).collect();
    let env = env.into_iter().map(|(name, hash)| (name.to_owned(), hash.to_owned())).collect();
    Report { at: 0, launcher: None, env, ..report }
}

async fn an_image_that_asks_for_a_password_is_looked_up_with_the_pull_secrets(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let image = BOTH.replace(REGISTRY, PRIVATE_REGISTRY);
    let mut spec = json!({"containers": [container("app", &image, json!({}))]});
    let said = apps.refusal("without", &spec).await?;
    ensure!(said.contains(&image) && said.contains(PRIVATE_REGISTRY), "{said}");

    let login = json!({"auths": {PRIVATE_REGISTRY: {"username": PRIVATE_USER, "password": PRIVATE_USER}}});
    scene
        .apply_one(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {PULL_SECRET}, namespace: {}}}\ntype: kubernetes.io/dockerconfigjson\n\
             stringData: {{.dockerconfigjson: '{login}'}}\n",
            apps.shop.namespace
        ))
        .await?;
    spec["imagePullSecrets"] = json!([{"name": PULL_SECRET}]);
    apps.start("of-pod", &spec).await?;
    spec["imagePullSecrets"] = Value::Null;
    let accounts: Api<ServiceAccount> = Api::namespaced(scene.client().clone(), &apps.shop.namespace);
    let patch = Patch::Merge(json!({"imagePullSecrets": [{"name": PULL_SECRET}]}));
    accounts.patch("default", &PatchParams::default(), &patch).await?;
    apps.start("of-account", &spec).await?;
    for pod in ["of-pod", "of-account"] {
        let report = apps.report(pod, "app").await?;
        report.check(&[("DB", "kwcanary-db")])?;
        ensure!(report.argv.first().is_some_and(|first| first == "/usr/bin/app"), "{pod}: {:?}", report.argv);
    }
    Ok(())
}

async fn an_image_that_cannot_be_looked_up_is_refused_with_what_to_do(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    let image = format!("{REGISTRY}/probe/missing:1");
    let spec = json!({"containers": [container("app", &image, json!({}))]});
    let said = apps.refusal("missing", &spec).await?;
    for part in ["app", &image, "command"] {
        ensure!(said.contains(part), "{part}: {said}");
    }
    // Nobody has to be asked for what the pod says itself.
    let spec = json!({"containers": [container("app", &image, json!({"command": [PROBE]}))]});
    is_injected(&apps.start("said", &spec).await?)
}
