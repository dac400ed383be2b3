//! Pods of several containers, of every kind.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::{Value, json};

use crate::{
    apps::{Apps, COPIER, container, init_containers, is_injected, reference},
    images::{ENTRYPOINT, MUSL, PROBE},
    kubectl::kubectl,
    scene::Scene,
};

tests![
    init_containers_and_sidecars_and_several_containers_get_each_what_they_refer_to,
    a_dry_run_shows_what_would_be_and_makes_nothing,
    an_ephemeral_container_with_a_reference_is_refused_and_one_without_runs,
];

/// As much as it asks for, which every container of a Guaranteed pod must.
fn resources() -> Value {
    let both = json!({"cpu": "20m", "memory": "32Mi"});
    json!({"requests": both, "limits": both})
}

fn named<'a>(pod: &'a Pod, name: &str) -> anyhow::Result<&'a Container> {
    let spec = pod.spec.as_ref().context("a pod without spec")?;
    let mut all = spec.init_containers.iter().flatten().chain(&spec.containers);
    all.find(|container| container.name == name).with_context(|| format!("no container {name}"))
}

async fn init_containers_and_sidecars_and_several_containers_get_each_what_they_refer_to(
    scene: &Scene,
) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    apps.refer("api", "kwcanary-api").await?;
    let probe = |name: &str, env: Value, more: Value| {
        let mut one = container(name, ENTRYPOINT, more);
        one["env"] = env;
        one["resources"] = resources();
        one
    };
    let exit = json!({"name": "PROBE", "value": "exit=0"});
    let spec = json!({
        "initContainers": [
            probe("before", json!([reference("API", "api"), exit]), json!({})),
            probe("sidecar", json!([reference("DB", "db")]), json!({"restartPolicy": "Always"})),
        ],
        "containers": [
            probe("both", json!([reference("DB", "db"), reference("API", "api"), reference("AGAIN", "api")]), json!({})),
            probe("one", json!([reference("DB", "db"), {"name": "PLAIN", "value": "plain"}]), json!({})),
            probe("none", json!([{"name": "PLAIN", "value": "plain"}]), json!({})),
        ],
    });
    let pod = apps.start("app", &spec).await?;
    ensure!(init_containers(&pod) == [COPIER, "before", "sidecar"], "{:?}", init_containers(&pod));
    let quality = pod.status.as_ref().and_then(|status| status.qos_class.as_deref());
    ensure!(quality == Some("Guaranteed"), "it has become {quality:?}");
    let untouched = named(&pod, "none")?;
    ensure!(untouched.command.is_none(), "{:?}", untouched.command);

    ensure!(apps.ended("app", "before").await?.exit_code == 0, "the init container failed");
    apps.report("app", "before").await?.check(&[("API", "kwcanary-api")])?;
    apps.report("app", "sidecar").await?.check(&[("DB", "kwcanary-db")])?;
    let api = "kwcanary-api";
    apps.report("app", "both").await?.check(&[("DB", "kwcanary-db"), ("API", api), ("AGAIN", api)])?;
    apps.report("app", "one").await?.check(&[("DB", "kwcanary-db"), ("PLAIN", "plain")])?;
    let none = apps.report("app", "none").await?;
    none.check(&[("PLAIN", "plain")])?;
    ensure!(none.launcher.is_none(), "the launcher lies where nothing refers to anything");
    for name in ["before", "sidecar", "both", "one"] {
        let report = apps.report("app", name).await?;
        ensure!(report.is_kept(), "{name}: {:?}", report.launcher);
        let own: Vec<_> = report.env.keys().filter(|name| name.starts_with("KEYWARD_")).collect();
        ensure!(own.is_empty(), "{name} was left {own:?}");
    }
    Ok(())
}

async fn a_dry_run_shows_what_would_be_and_makes_nothing(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let spec = json!({"containers": [container("app", ENTRYPOINT, json!({}))]});
    let pod = crate::apps::pod(&json!({"name": "app", "namespace": apps.shop.namespace}), &spec)?;
    let text = serde_json::to_string(&pod)?;
    let shown = kubectl(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &text).await?;
    is_injected(&serde_json::from_str(&shown.stdout)?)?;
    ensure!(apps.pods().get_opt("app").await?.is_none(), "it was made");
    Ok(())
}

async fn an_ephemeral_container_with_a_reference_is_refused_and_one_without_runs(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let spec = json!({"containers": [container("app", MUSL, json!({"command": [PROBE]}))]});
    apps.start("app", &spec).await?;
    apps.report("app", "app").await?;
    let add = async |name: &str, env: Value| {
        let container = json!({"name": name, "image": MUSL, "command": [PROBE], "env": env});
        let patch = json!({"spec": {"ephemeralContainers": [container]}}).to_string();
        let namespace = apps.shop.namespace.as_str();
        let patch = ["patch", "pod", "app", "-n", namespace, "--subresource=ephemeralcontainers", "-p", &patch];
        kubectl(&patch, "").await
    };
    let refused = add("refers", json!([reference("DB", "db")])).await;
    let said = refused.err().context("it was taken")?.to_string();
    ensure!(said.contains("ephemeral") && said.contains("refers"), "{said}");
    add("plain", json!([])).await?;
    ensure!(apps.report("app", "plain").await?.launcher.is_none(), "it has the launcher");
    Ok(())
}
