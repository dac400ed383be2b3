//! Where references come from, and what becomes of those that lead nowhere.

use anyhow::ensure;
use keyward_proto::v1::Verdict;
use serde_json::{Value, json};

use crate::{
    apps::{Apps, container, pod, reference},
    images::{BOTH, ENTRYPOINT},
    kubectl::kubectl,
    manifests::akvs,
    scene::Scene,
};

tests![
    references_are_found_wherever_kubernetes_takes_variables_from,
    a_forbidden_reference_ends_its_container_with_which_and_why,
    an_unknown_reference_is_warned_of_and_ends_its_container_with_its_name,
    a_reference_that_an_argument_expands_is_refused_with_what_to_do,
];

/// Exit codes of the launcher, as its `--help` documents them.
const NOT_FOUND: i32 = 66;
const DENIED: i32 = 77;

async fn references_are_found_wherever_kubernetes_takes_variables_from(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    for name in ["db", "api", "mail"] {
        apps.refer(name, &format!("kwcanary-{name}")).await?;
    }
    apps.shop.set("map", r#"{"user": "kwcanary-user", "host.name": "kwcanary-host"}"#)?;
    apps.shop.akvs("map", "multi-key-value-secret", "").await?;
    let namespace = apps.shop.namespace.as_str();
    apps.shop.stand.callers()?.until_checked(namespace, "map", Verdict::Known).await?;
    for (name, data) in [
        ("first", "{SHARED: 'db@azurekeyvault', PLAIN: plain}"),
        ("second", "{SHARED: 'api@azurekeyvault', OWN: 'mail@azurekeyvault'}"),
        ("keys", "{key: 'map@azurekeyvault?user'}"),
    ] {
        scene
            .apply_one(&format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {data}\n"
            ))
            .await?;
    }
    let from = |name: &str| json!({"configMapRef": {"name": name}});
    let key =
        |optional: bool, name: &str| json!({"configMapKeyRef": {"name": name, "key": "key", "optional": optional}});
    let prefixed = json!({"configMapRef": {"name": "first"}, "prefix": "P_"});
    let missing = json!({"configMapRef": {"name": "missing", "optional": true}});
    let literal = json!({
        "name": "literal", "image": BOTH,
        "env": [{"name": "HOST", "value": "map@azurekeyvault?host.name"}],
    });
    let only_maps = json!({
        "name": "maps", "image": ENTRYPOINT,
        "envFrom": [from("first"), from("second"), prefixed, missing],
        "env": [
            {"name": "USER", "valueFrom": key(false, "keys")},
            {"name": "NONE", "valueFrom": key(true, "missing")},
            {"name": "PLAIN", "value": "mine"},
        ],
    });
    // No container's own variable is a reference: what the ConfigMaps hold must be enough.
    apps.start("maps", &json!({"containers": [only_maps]})).await?;
    apps.start("literal", &json!({"containers": [literal]})).await?;
    let report = apps.report("maps", "maps").await?;
    report.check(&[
        ("SHARED", "kwcanary-api"),
        ("OWN", "kwcanary-mail"),
        ("P_SHARED", "kwcanary-db"),
        ("P_PLAIN", "plain"),
        ("USER", "kwcanary-user"),
        ("PLAIN", "mine"),
    ])?;
    ensure!(!report.env.contains_key("NONE"), "a variable of a ConfigMap that is not there");
    let report = apps.report("literal", "literal").await?;
    report.check(&[("HOST", "kwcanary-host"), ("FROM_IMAGE", "kwcanary-db"), ("GREETING", "hello")])
}

async fn a_forbidden_reference_ends_its_container_with_which_and_why(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let namespace = apps.shop.namespace.as_str();
    scene.apply(&akvs(namespace, "theirs", "partner", "theirs", "")).await?;
    apps.shop.stand.callers()?.until_checked(namespace, "theirs", Verdict::Forbidden).await?;
    let more = json!({"env": [reference("THEIRS", "theirs")]});
    let spec = json!({"restartPolicy": "Never", "containers": [container("app", ENTRYPOINT, more)]});
    let warned = create(&apps, "app", &spec).await?;
    ensure!(warned.contains("Warning") && warned.contains("theirs"), "{warned}");
    let end = apps.ended("app", "app").await?;
    ensure!(end.exit_code == DENIED, "{end:?}");
    let said = apps.log("app", "app", false).await?;
    for part in ["theirs@azurekeyvault", "partner", namespace] {
        ensure!(said.contains(part), "{part}: {said}");
    }
    // For `kubectl describe pod`.
    ensure!(end.message.is_some_and(|message| said.contains(message.trim())), "its last words are others: {said}");
    ensure!(!said.contains("db@azurekeyvault"), "the other one is not at fault: {said}");
    Ok(())
}

async fn an_unknown_reference_is_warned_of_and_ends_its_container_with_its_name(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let more = json!({"env": [reference("MISSING", "missing")]});
    let spec = json!({"restartPolicy": "Never", "containers": [container("app", ENTRYPOINT, more)]});
    let warned = create(&apps, "app", &spec).await?;
    ensure!(warned.contains("Warning") && warned.contains("missing"), "{warned}");
    let end = apps.ended("app", "app").await?;
    ensure!(end.exit_code == NOT_FOUND, "{end:?}");
    let said = apps.log("app", "app", false).await?;
    ensure!(said.contains("missing@azurekeyvault"), "{said}");

    let known = json!({"containers": [container("app", ENTRYPOINT, json!({}))]});
    let warned = create(&apps, "known", &known).await?;
    ensure!(warned.is_empty(), "{warned}");
    Ok(())
}

/// What kubectl says on standard error when it creates a pod.
async fn create(apps: &Apps<'_>, name: &str, spec: &Value) -> anyhow::Result<String> {
    let pod = pod(&json!({"name": name, "namespace": apps.shop.namespace}), spec)?;
    Ok(kubectl(&["create", "-f", "-"], &serde_json::to_string(&pod)?).await?.stderr)
}

async fn a_reference_that_an_argument_expands_is_refused_with_what_to_do(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let spec = json!({"containers": [container("app", ENTRYPOINT, json!({"args": ["--password=$(DB)"]}))]});
    let said = apps.refusal("app", &spec).await?;
    for part in ["app", "$(DB)"] {
        ensure!(said.contains(part), "{part}: {said}");
    }
    Ok(())
}
