//! Whose what is written is: what is left alone, what is taken over, what several share, what is set right.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Secret;
use keyward_tests::vault::{Collection, config::CertificateSeed};
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::{
    scene::Scene,
    shop::{Shop, VAULT},
    wait::{SOON, until_true},
};

tests![
    what_exists_is_not_overwritten_until_it_is_adopted,
    what_akv2k8s_wrote_is_kept_up_to_date_and_keeps_its_uid,
    drift_is_set_right_and_what_others_add_stays,
    several_secrets_fill_one_each_with_its_keys,
    a_tls_secret_takes_an_extra_key_of_another,
    what_cannot_be_fetched_survives_a_change_of_type,
    a_contested_key_stays_with_who_had_it,
    labels_and_annotations_travel_by_the_allow_list_only,
    what_is_orphaned_on_purpose_keeps_its_data,
];

const OUTPUT: &str = "{secret: {name: out, dataKey: k}}";

async fn create(shop: &Shop<'_>, name: &str, body: serde_json::Value) -> anyhow::Result<String> {
    let mut body = body;
    body["metadata"]["name"] = json!(name);
    let secret: Secret = serde_json::from_value(body)?;
    let params = PostParams { field_manager: Some("somebody".to_owned()), ..PostParams::default() };
    let made = shop.secrets().create(&params, &secret).await?;
    Ok(made.metadata.uid.unwrap_or_default())
}

async fn what_exists_is_not_overwritten_until_it_is_adopted(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let uid = create(&shop, "out", json!({"stringData": {"k": "theirs", "other": "theirs"}})).await?;
    shop.set("db", "kwcanary")?;
    shop.akvs("db", "secret", OUTPUT).await?;
    let ready = shop.until_ready("db", "False", "NotOwned").await?;
    ensure!(ready.message.contains("keyward.dev/adopt"), "{}", ready.message);
    shop.until_data("out", &[("k", "theirs"), ("other", "theirs")]).await?;
    ensure!(shop.metadata("out").await?.owner_references.is_none(), "it was touched");
    shop.patch("db", &json!({"metadata": {"annotations": {"keyward.dev/adopt": "true"}}})).await?;
    shop.until_ready("db", "True", "Synced").await?;
    shop.until_data("out", &[("k", "kwcanary"), ("other", "theirs")]).await?;
    ensure!(shop.uid("out").await? == uid, "it was made anew");
    Ok(())
}

async fn what_akv2k8s_wrote_is_kept_up_to_date_and_keeps_its_uid(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.set("db", r#"{"k": "kwcanary-new", "old": "kwcanary-old"}"#)?;
    // It has no namespace's permission yet to be synced under: the old controller has written for it.
    let akvs = shop.akvs("db", "multi-key-value-secret", "").await?;
    let owner = json!({
        "apiVersion": "spv.no/v2beta1", "kind": "AzureKeyVaultSecret", "name": "db", "uid": akvs.metadata.uid,
        "blockOwnerDeletion": true, "controller": false,
    });
    let left = json!({
        "metadata": {"ownerReferences": [owner], "labels": {"left": "by-akv2k8s"}},
        "stringData": {"k": "kwcanary-before", "old": "kwcanary-old"},
    });
    let uid = create(&shop, "out", left).await?;
    shop.patch("db", &json!({"spec": {"output": {"secret": {"name": "out"}}}})).await?;
    shop.until_ready("db", "True", "Synced").await?;
    shop.until_data("out", &[("k", "kwcanary-new"), ("old", "kwcanary-old")]).await?;
    let metadata = shop.metadata("out").await?;
    ensure!(metadata.uid.as_deref() == Some(uid.as_str()), "it was made anew");
    ensure!(metadata.labels.unwrap_or_default().contains_key("left"), "its labels are gone");
    // Of what both have written a key goes too once the vault's map has it no more.
    shop.set("db", r#"{"k": "kwcanary-new"}"#)?;
    shop.until_data("out", &[("k", "kwcanary-new")]).await
}

async fn drift_is_set_right_and_what_others_add_stays(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("db", "kwcanary", OUTPUT).await?;
    let uid = shop.uid("out").await?;
    shop.edit("out", &json!({"stringData": {"theirs": "x"}, "metadata": {"labels": {"theirs": "x"}}})).await?;
    shop.edit("out", &json!({"stringData": {"k": "changed"}})).await?;
    shop.until_data("out", &[("k", "kwcanary"), ("theirs", "x")]).await?;
    shop.edit("out", &json!({"data": {"k": null}})).await?;
    shop.until_data("out", &[("k", "kwcanary"), ("theirs", "x")]).await?;
    for body in [
        json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}),
        json!({"metadata": {"ownerReferences": null}}),
    ] {
        shop.edit("out", &body).await?;
        let is_right = async || {
            let metadata = shop.metadata("out").await?;
            let labels = metadata.labels.unwrap_or_default();
            Ok(labels.contains_key("app.kubernetes.io/managed-by")
                && labels.contains_key("theirs")
                && metadata.owner_references.is_some_and(|owners| owners.len() == 1))
        };
        until_true("label and owner back", SOON, is_right).await?;
    }
    ensure!(shop.uid("out").await? == uid, "it was made anew");
    shop.secrets().delete("out", &DeleteParams::default()).await?;
    let is_back = async || Ok(shop.data("out").await?.is_some_and(|data| data.is(&[("k", "kwcanary")])));
    until_true("a deleted Secret back", SOON, is_back).await?;
    ensure!(
        shop.events("db").await? == ["Normal Synced"],
        "drift is no change of state: {:?}",
        shop.events("db").await?
    );
    Ok(())
}

async fn several_secrets_fill_one_each_with_its_keys(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("a", "kwcanary-a", "{secret: {name: out, dataKey: a}}").await?;
    shop.synced("b", "kwcanary-b", "{secret: {name: out, dataKey: b}}").await?;
    shop.until_data("out", &[("a", "kwcanary-a"), ("b", "kwcanary-b")]).await?;
    let uid = shop.uid("out").await?;
    shop.set("a", "kwcanary-a2")?;
    shop.until_data("out", &[("a", "kwcanary-a2"), ("b", "kwcanary-b")]).await?;
    shop.delete("a", &DeleteParams::default()).await?;
    shop.until_data("out", &[("b", "kwcanary-b")]).await?;
    ensure!(shop.uid("out").await? == uid, "it was made anew");
    shop.delete("b", &DeleteParams::default()).await?;
    shop.until_no_secret("out").await
}

async fn a_tls_secret_takes_an_extra_key_of_another(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.stand.vault(VAULT)?.put_certificate(&shop.object("cert"), &CertificateSeed::default())?;
    // The extra key is there first, in an Opaque Secret, which must become a typed one.
    shop.synced("extra", "kwcanary-extra", "{secret: {name: out, dataKey: extra}}").await?;
    shop.akvs("cert", "certificate", "{secret: {name: out, type: kubernetes.io/tls}}").await?;
    shop.until_ready("cert", "True", "Synced").await?;
    let has_all = async || {
        let secret = shop.secrets().get_opt("out").await?;
        let is_typed = secret.is_some_and(|secret| secret.type_.as_deref() == Some("kubernetes.io/tls"));
        let keys = ["extra", "tls.crt", "tls.key"];
        Ok(is_typed && shop.data("out").await?.is_some_and(|data| keys.iter().all(|key| data.keys().contains(key))))
    };
    until_true("both in one tls Secret", SOON, has_all).await?;
    shop.until_ready("extra", "True", "Synced").await?;
    // The typed part goes: what is left is the other's, whole.
    shop.delete("cert", &DeleteParams::default()).await?;
    shop.until_data("out", &[("extra", "kwcanary-extra")]).await
}

async fn what_cannot_be_fetched_survives_a_change_of_type(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let vault = shop.stand.vault(VAULT)?;
    vault.put_certificate(&shop.object("cert"), &CertificateSeed::default())?;
    shop.synced("extra", "kwcanary-extra", "{secret: {name: out, dataKey: extra}}").await?;
    vault.set_enabled(Collection::Secrets, &shop.object("extra"), false)?;
    shop.until_ready("extra", "False", "ObjectUnavailable").await?;
    // Its key is the last good copy there is, through both: becoming typed, and becoming Opaque again.
    shop.akvs("cert", "certificate", "{secret: {name: out, type: kubernetes.io/tls}}").await?;
    shop.until_ready("cert", "True", "Synced").await?;
    let data = shop.data("out").await?.context("no Secret")?;
    ensure!(data.text("extra") == Some("kwcanary-extra"), "{data:?}");
    shop.delete("cert", &DeleteParams::default()).await?;
    shop.until_data("out", &[("extra", "kwcanary-extra")]).await?;
    // It is still its own: it goes with it.
    shop.delete("extra", &DeleteParams::default()).await?;
    shop.until_no_secret("out").await
}

async fn a_contested_key_stays_with_who_had_it(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("first", "kwcanary-1", OUTPUT).await?;
    shop.set("second", "kwcanary-2")?;
    shop.akvs("second", "secret", OUTPUT).await?;
    let ready = shop.until_ready("second", "False", "Conflict").await?;
    ensure!(ready.message.contains("key `k`") && ready.message.contains("/first"), "{}", ready.message);
    shop.until_data("out", &[("k", "kwcanary-1")]).await?;
    shop.until_ready("first", "True", "Synced").await?;
    shop.delete("first", &DeleteParams::default()).await?;
    shop.until_ready("second", "True", "Synced").await?;
    shop.until_data("out", &[("k", "kwcanary-2")]).await
}

async fn labels_and_annotations_travel_by_the_allow_list_only(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.set("db", "kwcanary")?;
    let metadata = "{labels: {team: shop, app.kubernetes.io/part-of: web, argocd.argoproj.io/instance: all}, \
                    annotations: {note: noted, secret-note: hidden}}";
    shop.akvs_of("db", "db", "secret", OUTPUT, metadata).await?;
    shop.until_ready("db", "True", "Synced").await?;
    let written = shop.metadata("out").await?;
    let labels: Vec<_> = written.labels.unwrap_or_default().into_keys().collect();
    ensure!(labels == ["app.kubernetes.io/managed-by", "app.kubernetes.io/part-of", "team"], "{labels:?}");
    let annotations: Vec<_> = written.annotations.unwrap_or_default().into_keys().collect();
    ensure!(annotations == ["note"], "{annotations:?}");
    shop.akvs_of("db", "db", "secret", OUTPUT, "{labels: {team: bank}}").await?;
    let changed = async || {
        let labels = shop.metadata("out").await?.labels.unwrap_or_default();
        Ok(labels.get("team").is_some_and(|team| team == "bank") && labels.len() == 2)
    };
    until_true("labels that follow", SOON, changed).await
}

async fn what_is_orphaned_on_purpose_keeps_its_data(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("db", "kwcanary", OUTPUT).await?;
    shop.delete("db", &DeleteParams::orphan()).await?;
    let is_orphaned = async || Ok(shop.metadata("out").await?.owner_references.unwrap_or_default().is_empty());
    until_true("an orphan", SOON, is_orphaned).await?;
    shop.settle().await?;
    shop.until_data("out", &[("k", "kwcanary")]).await
}
