//! Workloads of every kind, and what is left of the launcher in those that run once.

use anyhow::ensure;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;

use crate::{
    apps::{Apps, POD_SOON},
    images::ENTRYPOINT,
    kubectl::kubectl,
    scene::Scene,
    wait::{Look, until},
};

tests![
    what_runs_once_takes_the_launcher_away_from_itself_and_from_no_neighbour,
    cron_jobs_daemon_sets_and_stateful_sets_are_injected,
];

/// A pod template's `spec` and `metadata`, indented for a workload of `apps/v1` or `batch/v1`.
fn template(app: &str, policy: &str, does: &str, containers: &[&str]) -> String {
    let one = |name: &&str| {
        format!(
            "{{name: {name}, image: '{ENTRYPOINT}', env: [{{name: DB, value: db@azurekeyvault}}, {{name: PROBE, value: '{does}'}}]}}"
        )
    };
    let containers: Vec<_> = containers.iter().map(one).collect();
    format!(
        "{{metadata: {{labels: {{app: {app}}}}}, spec: {{restartPolicy: {policy}, terminationGracePeriodSeconds: 1, \
         containers: [{}]}}}}",
        containers.join(", ")
    )
}

async fn pod_of(apps: &Apps<'_>, app: &str) -> anyhow::Result<String> {
    until(&format!("a pod of {app}"), POD_SOON, async || {
        let pods = apps.labelled(&format!("app={app}")).await?;
        Ok(pods.first().map_or(Look::NotYet("none"), |pod| Look::Found(pod.clone())))
    })
    .await
}

async fn what_runs_once_takes_the_launcher_away_from_itself_and_from_no_neighbour(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let namespace = &apps.shop.namespace;
    for (name, policy) in [("never", "Never"), ("on-failure", "OnFailure")] {
        let template = template(name, policy, "exit=0", &["one", "two"]);
        scene
            .apply_one(&format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{template: {template}}}\n"
            ))
            .await?;
    }
    for (name, emptied) in [("never", true), ("on-failure", false)] {
        let pod = pod_of(&apps, name).await?;
        for container in ["one", "two"] {
            let report = apps.report(&pod, container).await?;
            report.check(&[("DB", "kwcanary-db")])?;
            let as_due = if emptied { report.is_cleaned_up() } else { report.is_kept() };
            ensure!(as_due, "{name}/{container}: {:?}", report.launcher);
        }
        let jobs: Api<Job> = Api::namespaced(scene.client().clone(), namespace);
        until(&format!("the end of job {name}"), POD_SOON, async || {
            let status = jobs.get(name).await?.status.unwrap_or_default();
            Ok(if status.succeeded == Some(1) { Look::Found(()) } else { Look::NotYet(status) })
        })
        .await?;
    }
    Ok(())
}

async fn cron_jobs_daemon_sets_and_stateful_sets_are_injected(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let namespace = apps.shop.namespace.as_str();
    for (kind, more) in [("DaemonSet", ""), ("StatefulSet", ", serviceName: none")] {
        let app = kind.to_lowercase();
        let template = template(&app, "Always", "wait", &["app"]);
        scene
            .apply_one(&format!(
                "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {app}, namespace: {namespace}}}\n\
                 spec: {{selector: {{matchLabels: {{app: {app}}}}}, template: {template}{more}}}\n"
            ))
            .await?;
    }
    let template = template("cronjob", "Never", "exit=0", &["app"]);
    scene
        .apply_one(&format!(
            "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: nightly, namespace: {namespace}}}\n\
             spec: {{schedule: '0 0 1 1 *', jobTemplate: {{spec: {{template: {template}}}}}}}\n"
        ))
        .await?;
    kubectl(&["create", "job", "tonight", "--from=cronjob/nightly", "-n", namespace], "").await?;
    for app in ["daemonset", "statefulset", "cronjob"] {
        let pod = pod_of(&apps, app).await?;
        apps.report(&pod, "app").await?.check(&[("DB", "kwcanary-db")])?;
    }
    Ok(())
}
