//! A container that is started again asks again, for whatever reason it ended.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{
    apps::{Apps, container},
    images::{MUSL, PROBE},
    kubectl::kubectl,
    scene::Scene,
};

tests![a_container_that_is_started_again_gets_the_value_of_then];

/// The container, what its probe does once it is asked to end, and how that looks to Kubernetes.
const CONTAINERS: [(&str, &str, &str, i32); 3] = [
    ("exits", "wait exit=1", "Error", 1),
    ("fills", "wait fill", "OOMKilled", 137),
    ("sick", "wait exit=7", "Error", 7),
];

fn containers() -> Vec<Value> {
    let make = |(name, does, _, _): (&str, &str, &str, i32)| {
        let mut more = json!({
            "command": [PROBE], "env": [{"name": "PROBE", "value": does}],
            "resources": {"limits": {"memory": "32Mi"}},
        });
        if name == "sick" {
            let probe = json!({"exec": {"command": ["sh", "-c", "test ! -e /tmp/sick"]}});
            more["livenessProbe"] = probe;
            more["livenessProbe"]["periodSeconds"] = json!(1);
            more["livenessProbe"]["failureThreshold"] = json!(1);
        }
        container(name, MUSL, more)
    };
    CONTAINERS.map(make).to_vec()
}

async fn a_container_that_is_started_again_gets_the_value_of_then(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-before").await?;
    apps.start("app", &json!({"terminationGracePeriodSeconds": 10, "containers": containers()})).await?;
    for (name, ..) in CONTAINERS {
        apps.report("app", name).await?.check(&[("DB", "kwcanary-before")])?;
    }
    apps.rotate("db", "kwcanary-after").await?;
    let namespace = apps.shop.namespace.as_str();
    let shell = async |container: &str, script: &str| {
        kubectl(&["exec", "-n", namespace, "app", "-c", container, "--", "sh", "-c", script], "").await
    };
    // Where containers start again, nobody can take the launcher away.
    let removed = shell("exits", "rm -f /azure-keyvault/keyward-launcher").await;
    let said = removed.err().context("the launcher could be removed")?.to_string();
    ensure!(said.contains("Read-only"), "{said}");
    shell("exits", "kill 1").await?;
    // The memory may be gone before the shell has its answer.
    let _ = shell("fills", "kill 1").await;
    shell("sick", ": >/tmp/sick").await?;
    for (name, _, reason, code) in CONTAINERS {
        let status = apps.restarted("app", name).await?;
        let end = status.last_state.and_then(|state| state.terminated).context("no former run")?;
        ensure!(end.exit_code == code && end.reason.as_deref() == Some(reason), "{name}: {end:?}");
        apps.report("app", name).await?.check(&[("DB", "kwcanary-after")])?;
        let before = apps.log("app", name, true).await?;
        ensure!(before.contains(r#"{"signal":"SIGTERM"}"#), "{name} was not asked to end: {before}");
    }
    Ok(())
}
