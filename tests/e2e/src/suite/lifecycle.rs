//! What becomes of what was written when the `AzureKeyVaultSecret` changes or goes.

use anyhow::ensure;
use keyward_tests::vault::Collection;
use kube::api::DeleteParams;
use serde_json::json;

use crate::{
    scene::Scene,
    shop::{Shop, VAULT},
    wait::{Look, SOON, until, until_true},
};

tests![
    a_renamed_output_moves_and_leaves_nothing_behind,
    a_renamed_output_leaves_what_others_have_in_it,
    without_output_what_was_written_goes_and_references_stay,
    a_key_that_the_map_has_no_more_is_removed,
    another_type_is_made_anew_with_other_peoples_labels,
    another_type_takes_no_foreign_keys,
    what_is_deleted_takes_its_secret_along,
    what_was_deleted_while_no_controller_ran_is_cleared_up,
    what_cannot_be_fetched_any_more_leaves_what_was_written,
    an_object_that_comes_into_being_is_synced,
];

async fn a_renamed_output_moves_and_leaves_nothing_behind(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("db", "kwcanary", "{secret: {name: before, dataKey: k}}").await?;
    shop.patch("db", &json!({"spec": {"output": {"secret": {"name": "after"}}}})).await?;
    shop.until_data("after", &[("k", "kwcanary")]).await?;
    shop.until_no_secret("before").await?;
    // The status is told last.
    let told = async || Ok(shop.status("db").await?["secretName"] == "after");
    until_true("its status naming the Secret", SOON, told).await
}

async fn a_renamed_output_leaves_what_others_have_in_it(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("a", "kwcanary-a", "{secret: {name: before, dataKey: a}}").await?;
    shop.synced("b", "kwcanary-b", "{secret: {name: before, dataKey: b}}").await?;
    shop.synced("c", "kwcanary-c", "{secret: {name: foreign, dataKey: c}}").await?;
    shop.edit("foreign", &json!({"stringData": {"theirs": "x"}})).await?;
    shop.patch("a", &json!({"spec": {"output": {"secret": {"name": "after"}}}})).await?;
    shop.patch("c", &json!({"spec": {"output": {"secret": {"name": "after"}}}})).await?;
    shop.until_data("after", &[("a", "kwcanary-a"), ("c", "kwcanary-c")]).await?;
    shop.until_data("before", &[("b", "kwcanary-b")]).await?;
    shop.until_data("foreign", &[("theirs", "x")]).await
}

async fn without_output_what_was_written_goes_and_references_stay(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let version = shop.synced("db", "kwcanary", "{secret: {name: out, dataKey: k}}").await?;
    shop.patch("db", &json!({"spec": {"output": null}})).await?;
    shop.until_no_secret("out").await?;
    shop.until_ready("db", "True", "Admitted").await?;
    let status = shop.status("db").await?;
    ensure!(status["version"] == version && status["secretName"].is_null(), "{status}");
    Ok(())
}

async fn a_key_that_the_map_has_no_more_is_removed(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.set("map", r#"{"a": "kwcanary-a", "b": "kwcanary-b"}"#)?;
    shop.akvs("map", "multi-key-value-secret", "{secret: {name: out}}").await?;
    shop.until_data("out", &[("a", "kwcanary-a"), ("b", "kwcanary-b")]).await?;
    shop.edit("out", &json!({"stringData": {"theirs": "x"}})).await?;
    shop.set("map", r#"{"b": "kwcanary-b2"}"#)?;
    shop.until_data("out", &[("b", "kwcanary-b2"), ("theirs", "x")]).await
}

async fn another_type_is_made_anew_with_other_peoples_labels(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("login", "me:kwcanary", "{secret: {name: out, dataKey: k}}").await?;
    let uid = shop.uid("out").await?;
    shop.edit("out", &json!({"metadata": {"labels": {"theirs": "x"}, "annotations": {"theirs": "y"}}})).await?;
    shop.patch("login", &json!({"spec": {"output": {"secret": {"type": "kubernetes.io/basic-auth"}}}})).await?;
    shop.until_data("out", &[("username", "me"), ("password", "kwcanary")]).await?;
    shop.until_ready("login", "True", "Synced").await?;
    let metadata = shop.metadata("out").await?;
    ensure!(metadata.uid.as_deref() != Some(uid.as_str()), "a type was changed in place");
    ensure!(metadata.labels.unwrap_or_default().contains_key("theirs"), "their label is gone");
    ensure!(metadata.annotations.unwrap_or_default().contains_key("theirs"), "their annotation is gone");
    shop.patch("login", &json!({"spec": {"output": {"secret": {"type": null}}}})).await?;
    shop.until_data("out", &[("k", "me:kwcanary")]).await
}

async fn another_type_takes_no_foreign_keys(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("login", "me:kwcanary", "{secret: {name: out, dataKey: k}}").await?;
    shop.edit("out", &json!({"stringData": {"theirs": "x"}})).await?;
    shop.patch("login", &json!({"spec": {"output": {"secret": {"type": "kubernetes.io/basic-auth"}}}})).await?;
    let ready = shop.until_ready("login", "False", "NotOwned").await?;
    ensure!(ready.message.contains("theirs"), "{}", ready.message);
    shop.until_data("out", &[("k", "me:kwcanary"), ("theirs", "x")]).await?;
    shop.edit("out", &json!({"data": {"theirs": null}})).await?;
    shop.until_ready("login", "True", "Synced").await?;
    shop.until_data("out", &[("username", "me"), ("password", "kwcanary")]).await
}

async fn what_is_deleted_takes_its_secret_along(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("db", "kwcanary", "{secret: {name: out, dataKey: k}}").await?;
    let finalizers = shop.secrets_of_vaults().get("db").await?.metadata.finalizers.unwrap_or_default();
    ensure!(finalizers.is_empty(), "{finalizers:?}");
    shop.delete("db", &DeleteParams::default()).await?;
    shop.until_no_secret("out").await
}

async fn what_was_deleted_while_no_controller_ran_is_cleared_up(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("a", "kwcanary-a", "{secret: {name: out, dataKey: a}}").await?;
    shop.synced("b", "kwcanary-b", "{secret: {name: out, dataKey: b}}").await?;
    shop.stand.stop_controllers().await?;
    shop.delete("a", &DeleteParams::default()).await?;
    // The collector takes the owner reference; the key is the controller's to take.
    let one_owner = async || Ok(shop.metadata("out").await?.owner_references.is_some_and(|owners| owners.len() == 1));
    until_true("the collector", SOON, one_owner).await?;
    ensure!(shop.data("out").await?.is_some_and(|data| data.keys() == ["a", "b"]), "somebody else cleared up");
    shop.stand.controllers().await?;
    shop.until_data("out", &[("b", "kwcanary-b")]).await
}

async fn what_cannot_be_fetched_any_more_leaves_what_was_written(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let version = shop.synced("db", "kwcanary", "{secret: {name: out, dataKey: k}}").await?;
    let vault = shop.stand.vault(VAULT)?;
    vault.set_enabled(Collection::Secrets, &shop.object("db"), false)?;
    shop.until_ready("db", "False", "ObjectUnavailable").await?;
    vault.set_enabled(Collection::Secrets, &shop.object("db"), true)?;
    shop.until_ready("db", "True", "Synced").await?;
    vault.delete(Collection::Secrets, &shop.object("db"))?;
    let ready = shop.until_ready("db", "False", "NotFound").await?;
    ensure!(ready.message.contains(&shop.object("db")), "{}", ready.message);
    shop.until_data("out", &[("k", "kwcanary")]).await?;
    ensure!(shop.status("db").await?["version"] == version);
    let told = until("four events", SOON, async || {
        let events = shop.events("db").await?;
        Ok(if events.len() >= 4 { Look::Found(events) } else { Look::NotYet(events) })
    });
    let told = told.await?;
    let expected = ["Normal Synced", "Warning ObjectUnavailable", "Normal Synced", "Warning NotFound"];
    ensure!(told == expected, "{told:?}");
    Ok(())
}

async fn an_object_that_comes_into_being_is_synced(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.akvs("db", "secret", "{secret: {name: out, dataKey: k}}").await?;
    shop.until_ready("db", "False", "NotFound").await?;
    ensure!(shop.data("out").await?.is_none(), "something was written");
    shop.set("db", "kwcanary")?;
    shop.until_ready("db", "True", "Synced").await?;
    shop.until_data("out", &[("k", "kwcanary")]).await
}
