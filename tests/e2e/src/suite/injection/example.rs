//! The example that everybody starts with, and what it leaves for others to see.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use keyward_tests::process::is_secret;

use crate::{
    apps::{Apps, ENABLED, POD_SOON, container, prepare, reference},
    images::{ENTRYPOINT, MUSL, PROBE},
    kubectl::kubectl,
    report::Report,
    scene::Scene,
    shop::{Shop, VAULT},
    stand::admits,
    wait::{Look, until},
};

tests![
    a_namespace_and_its_deployment_applied_at_once_run_within_fifteen_seconds,
    a_value_is_in_no_specification_and_no_file_and_no_log,
];

/// From `kubectl apply` to the application's first line, the race for the authority's `ConfigMap` included.
const QUICKLY: Duration = Duration::from_secs(15);

async fn a_namespace_and_its_deployment_applied_at_once_run_within_fifteen_seconds(
    scene: &Scene,
) -> anyhow::Result<()> {
    let stand = prepare(scene).await?;
    let namespace = format!("example-{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    scene.will_end(&namespace);
    let apps = Apps { shop: Shop { namespace: namespace.clone(), scene, stand } };
    apps.shop.set("my-secret", "kwcanary-example")?;
    let ((enabled, yes), (admits, admitted)) = (ENABLED, admits(VAULT));
    let object = apps.shop.object("my-secret");
    let text = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{{enabled}: {yes}, {admits}: {admitted}}}}}\n---\n\
         apiVersion: spv.no/v1alpha1\nkind: AzureKeyVaultSecret\nmetadata: {{name: some-secret, namespace: {namespace}}}\n\
         spec: {{vault: {{name: {VAULT}, object: {{name: {object}, type: secret}}}}}}\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app, namespace: {namespace}}}\n\
         spec:\n  selector: {{matchLabels: {{app: app}}}}\n  template:\n    metadata: {{labels: {{app: app}}}}\n    spec:\n      \
         containers:\n      - name: app\n        image: {ENTRYPOINT}\n        env:\n        - name: MY_AKV_SECRET\n          \
         value: some-secret@azurekeyvault\n"
    );
    let began = Instant::now();
    kubectl(&["apply", "-f", "-"], &text).await?;
    let report = until("the example's first line", POD_SOON, async || {
        for pod in apps.labelled("app=app").await? {
            if let Some(report) = Report::in_log(&apps.log(&pod, "app", false).await?) {
                return Ok(Look::Found(report));
            }
        }
        Ok(Look::NotYet("no line"))
    })
    .await?;
    let took = began.elapsed();
    report.check(&[("MY_AKV_SECRET", "kwcanary-example")])?;
    ensure!(took < QUICKLY, "{took:?}");
    Ok(())
}

async fn a_value_is_in_no_specification_and_no_file_and_no_log(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let more = serde_json::json!({"command": [PROBE], "env": [reference("AGAIN", "db")]});
    apps.start("app", &serde_json::json!({"containers": [container("app", MUSL, more)]})).await?;
    apps.report("app", "app").await?.check(&[("DB", "kwcanary-db"), ("AGAIN", "kwcanary-db")])?;
    let namespace = apps.shop.namespace.as_str();
    let exec = async |command: &[&str]| {
        let arguments = [&["exec", "-n", namespace, "app", "--"], command].concat();
        Ok::<_, anyhow::Error>(kubectl(&arguments, "").await?.stdout)
    };

    // Who enters the container has the variables of its specification.
    let seen = Report::in_log(&exec(&[PROBE, "report"]).await?).context("kubectl exec printed no report")?;
    seen.check(&[("DB", "db@azurekeyvault")])?;
    // One is planted, so that whoever looks for them finds any. Neither pattern nor text is itself what is found.
    let plant = "printf kw%s canary >/tmp/planted; ";
    let find = "find / -path /proc -prune -o -path /sys -prune -o -type f -exec grep -l 'kw[c]anary' {} +";
    let found = exec(&["sh", "-c", &format!("{plant}{find}")]).await?;
    ensure!(found == "/tmp/planted\n", "values lie in {found}");

    for what in ["pods", "events", "configmaps", "azurekeyvaultsecrets", "secrets"] {
        let all = kubectl(&["get", what, "-n", namespace, "-o", "yaml"], "").await?.stdout;
        ensure!(!is_secret(&all), "there is a value among the {what}");
    }
    ensure!(!is_secret(&apps.log("app", "app", false).await?), "a container printed a value");
    ensure!(!is_secret(&apps.log("app", crate::apps::COPIER, false).await?), "the copier printed a value");
    Ok(())
}
