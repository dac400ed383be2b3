//! The application is the container's first process, as if the launcher had never been.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::{
    apps::{Apps, container},
    images::ENTRYPOINT,
    kubectl::kubectl,
    scene::Scene,
    wait::{Look, until},
};

tests![exit_codes_pass_through, standard_input_and_a_terminal_pass_through, a_signal_reaches_the_application];

fn probe(name: &str, does: &str, more: Value) -> Value {
    let mut one = container(name, ENTRYPOINT, more);
    if let Some(env) = one["env"].as_array_mut() {
        env.push(json!({"name": "PROBE", "value": does}));
    }
    one
}

async fn exit_codes_pass_through(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let codes = [0, 1, 42, 255];
    let containers: Vec<_> =
        codes.iter().map(|code| probe(&format!("c{code}"), &format!("exit={code}"), json!({}))).collect();
    apps.start("app", &json!({"restartPolicy": "Never", "containers": containers})).await?;
    for code in codes {
        let name = format!("c{code}");
        let ended = apps.ended("app", &name).await?.exit_code;
        ensure!(ended == code, "{ended} in place of {code}");
        apps.report("app", &name).await?.check(&[("DB", "kwcanary-db")])?;
    }
    Ok(())
}

async fn standard_input_and_a_terminal_pass_through(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let containers = [
        probe("piped", "echo exit=7", json!({"stdin": true, "stdinOnce": true})),
        probe("terminal", "wait", json!({"stdin": true, "tty": true})),
    ];
    apps.start("app", &json!({"restartPolicy": "Never", "containers": containers})).await?;
    apps.until_running("app", "piped").await?;
    let namespace = apps.shop.namespace.as_str();
    let attach = ["attach", "-n", namespace, "app", "-c", "piped", "-i", "--pod-running-timeout=30s"];
    kubectl(&attach, "one line\nand another\n").await?;
    ensure!(apps.ended("app", "piped").await?.exit_code == 7, "it did not end with its input");
    let log = apps.log("app", "piped", false).await?;
    ensure!(log.contains(r#"{"read":"one line"}"#) && log.contains(r#"{"read":"and another"}"#), "{log}");
    let report = apps.report("app", "terminal").await?;
    ensure!(report.terminal && report.pid == 1, "{report:?}");
    ensure!(!apps.report("app", "piped").await?.terminal, "a pipe is no terminal");
    Ok(())
}

async fn a_signal_reaches_the_application(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let finalizer = "e2e.keyward.dev/look";
    let spec = json!({
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 30,
        "containers": [probe("app", "wait exit=7", json!({}))],
    });
    apps.start_with(&json!({"name": "app", "finalizers": [finalizer]}), &spec).await?;
    apps.report("app", "app").await?;
    apps.pods().delete("app", &kube::api::DeleteParams::default()).await?;
    // The finalizer keeps the pod's object, and with it how its container ended.
    let ended = until("the end of the pod", Duration::from_secs(20), async || {
        let state = apps.status("app", "app").await?.state;
        Ok(match state.as_ref().and_then(|state| state.terminated.as_ref()) {
            Some(end) => Look::Found(end.exit_code),
            None => Look::NotYet(state),
        })
    })
    .await;
    let patch = kube::api::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    apps.pods().patch("app", &kube::api::PatchParams::default(), &patch).await?;
    ensure!(ended? == 7, "the application was not asked to end");
    Ok(())
}
