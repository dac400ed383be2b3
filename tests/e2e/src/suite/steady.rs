//! Nothing is written and no vault is asked while nothing changes; what changes arrives at once.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use crate::{
    requests::Counted,
    scene::Scene,
    shop::{Shop, VAULT},
    wait::{Look, SOON, until, until_true},
};

tests![
    nothing_is_written_while_nothing_changes,
    a_new_version_is_in_the_secret_within_a_second_of_being_seen,
    a_version_that_only_references_use_is_shown_too,
    a_namespace_that_is_admitted_later_is_synced_at_once,
    a_broker_that_is_gone_changes_nothing_that_was_written,
    an_invalid_secret_hides_no_other,
];

/// Resources that the controller writes.
const WRITTEN: [&str; 8] = [
    "secrets",
    "configmaps",
    "azurekeyvaultsecrets",
    "azurekeyvaults",
    "events",
    "deployments",
    "statefulsets",
    "daemonsets",
];

async fn nothing_is_written_while_nothing_changes(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    for number in 0..20 {
        let name = format!("s{number}");
        shop.set(&name, "kwcanary")?;
        shop.akvs(&name, "secret", &format!("{{secret: {{name: {name}, dataKey: k}}}}")).await?;
    }
    for number in 0..20 {
        shop.until_ready(&format!("s{number}"), "True", "Synced").await?;
    }
    shop.settle().await?;
    scene.until_no_namespace_ends().await?;
    let begun = shop.stand.polls(VAULT).await?;
    let before = Counted::now(scene.client()).await?;
    until_true("three polls", SOON, async || Ok(shop.stand.polls(VAULT).await? >= begun + 4)).await?;
    let since = Counted::now(scene.client()).await?.since(&before);
    for resource in WRITTEN {
        ensure!(since.writes(resource) == 0, "{resource} were written: {since:?}");
    }
    Ok(())
}

async fn a_new_version_is_in_the_secret_within_a_second_of_being_seen(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("db", "kwcanary-0", "{secret: {name: out, dataKey: k}}").await?;
    let callers = shop.stand.broker().await?;
    let (_, token) = scene.pod(&shop.namespace, "reader").await?;
    let mut slowest = Duration::ZERO;
    for number in 1..=3 {
        let value = format!("kwcanary-{number}");
        shop.set("db", &value)?;
        until_true("the broker serving it", SOON, async || Ok(callers.resolve(&token, &["db"]).await?.are(&[&value])))
            .await?;
        let seen = Instant::now();
        shop.until_data("out", &[("k", &value)]).await?;
        slowest = slowest.max(seen.elapsed());
    }
    ensure!(slowest < Duration::from_secs(1), "{slowest:?} after the broker had it");
    Ok(())
}

async fn a_version_that_only_references_use_is_shown_too(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let first = shop.set("db", "kwcanary-1")?;
    shop.akvs("db", "secret", "").await?;
    shop.until_ready("db", "True", "Admitted").await?;
    let callers = shop.stand.broker().await?;
    let (_, token) = scene.pod(&shop.namespace, "reader").await?;
    ensure!(callers.resolve(&token, &["db"]).await?.are(&["kwcanary-1"]), "another value");
    let shows = async |version: &str| {
        until(&format!("version {version}"), SOON, async || {
            let status = shop.status("db").await?;
            Ok(if status["version"] == version { Look::Found(()) } else { Look::NotYet(status) })
        })
        .await
    };
    shows(&first).await?;
    let second = shop.set("db", "kwcanary-2")?;
    shows(&second).await?;
    ensure!(shop.data("db").await?.is_none(), "something was written");
    Ok(())
}

async fn a_namespace_that_is_admitted_later_is_synced_at_once(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let label = crate::stand::admits(VAULT).0;
    let labelled = async |value: serde_json::Value| {
        let patch = kube::api::Patch::Merge(json!({"metadata": {"labels": {label.as_str(): value}}}));
        let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(scene.client().clone());
        namespaces.patch(&shop.namespace, &kube::api::PatchParams::default(), &patch).await.map(drop)
    };
    labelled(json!(null)).await?;
    shop.set("db", "kwcanary")?;
    shop.akvs("db", "secret", "{secret: {name: out, dataKey: k}}").await?;
    let ready = shop.until_ready("db", "False", "Forbidden").await?;
    ensure!(ready.message.contains(&shop.namespace), "{}", ready.message);
    ensure!(shop.data("out").await?.is_none(), "something was written");
    labelled(json!("admitted")).await?;
    let since = Instant::now();
    shop.until_ready("db", "True", "Synced").await?;
    ensure!(since.elapsed() < Duration::from_secs(5), "{:?}: it was found by trying again", since.elapsed());
    labelled(json!(null)).await?;
    shop.until_ready("db", "False", "Forbidden").await?;
    shop.until_data("out", &[("k", "kwcanary")]).await
}

async fn a_broker_that_is_gone_changes_nothing_that_was_written(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("db", "kwcanary", "{secret: {name: out, dataKey: k}}").await?;
    shop.stand.kill_broker().await?;
    // Made while there is no broker: it says so, and is synced when there is one.
    shop.set("late", "kwcanary-late")?;
    shop.akvs("late", "secret", "{secret: {name: late, dataKey: k}}").await?;
    shop.until_ready("late", "False", "VaultUnavailable").await?;
    ensure!(shop.ready("db").await?.status == "True", "a broker that is away for a moment is no news");
    shop.edit("out", &json!({"stringData": {"k": "changed"}})).await?;
    shop.stand.broker().await?;
    shop.until_data("out", &[("k", "kwcanary")]).await?;
    shop.until_ready("late", "True", "Synced").await?;
    ensure!(shop.events("db").await? == ["Normal Synced"], "{:?}", shop.events("db").await?);
    Ok(())
}

async fn an_invalid_secret_hides_no_other(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.set("map", "this is no map, kwcanary")?;
    shop.akvs("map", "multi-key-value-secret", "{secret: {name: map}}").await?;
    let ready = shop.until_ready("map", "False", "ObjectUnavailable").await?;
    ensure!(!ready.message.contains("this is"), "a value is in a condition");
    shop.synced("db", "kwcanary", "{secret: {name: out, dataKey: k}}").await?;
    shop.set("map", r#"{"a": "kwcanary"}"#)?;
    shop.until_ready("map", "True", "Synced").await.map(drop)
}
