//! What akv2k8s left, once Keyward looks after it.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde_json::Value;

use crate::{
    installation::{
        akv2k8s::{self, NAMES, NAMESPACE},
        emulator::Emulator,
        site::Site,
    },
    wait::{Look, SOON, until, until_true},
};

/// What each Secret holds, once it is as the vault has it. Of `site` the values are the vault's own.
const HELD: [(&str, &[(&str, &str)]); 4] = [
    ("db", &[("password", "kwcanary-before-db"), ("theirs", "kwcanary-before-theirs")]),
    ("login", &[("password", "kwcanary-before-login"), ("username", "mailer")]),
    ("settings", &[("gone", "kwcanary-before-gone"), ("level", "kwcanary-before-level"), ("port", "8080")]),
    ("both", &[("left", "kwcanary-before-left"), ("right", "kwcanary-before-right")]),
];

pub(super) async fn what_akv2k8s_left_is_kept_and_brought_up_to_date(site: &Site) -> anyhow::Result<()> {
    for name in NAMES {
        until_ready(&site.client, name).await?;
    }
    for (name, held) in HELD {
        until_held(&site.client, name, held).await?;
    }
    is_kept(site).await?;

    let emulator = Emulator::sign_in(&site.client).await?;
    emulator.set("before-db", "kwcanary-before-db-anew").await?;
    let (mut db, settings) = (HELD[0].1.to_vec(), [("level", "kwcanary-before-level-anew"), HELD[2].1[0]]);
    db[0].1 = "kwcanary-before-db-anew";
    until_held(&site.client, "db", &db).await?;
    // What was written by both goes with the map; what akv2k8s alone had left behind is nobody's to take.
    emulator.set("before-settings", r#"{"level": "kwcanary-before-level-anew"}"#).await?;
    until_held(&site.client, "settings", &settings).await?;
    is_kept(site).await
}

/// An error where something was made anew, or what others had written is gone.
async fn is_kept(site: &Site) -> anyhow::Result<()> {
    let left = site.left.get().context("nothing was left")?;
    let seen = akv2k8s::seen(&site.client).await?;
    for (what, uid) in left {
        ensure!(seen.get(what) == Some(uid), "{what:?} was made anew");
    }
    let metadata = secret(&site.client, "db").await?.metadata;
    let (labels, annotations) = (metadata.labels.unwrap_or_default(), metadata.annotations.unwrap_or_default());
    ensure!(labels.contains_key("team") && labels.contains_key("copied"), "labels: {labels:?}");
    ensure!(annotations.contains_key("example.com/note"), "annotations: {:?}", annotations.keys());
    let owners = metadata.owner_references.unwrap_or_default();
    ensure!(owners.len() == 1, "{} owners", owners.len());
    let site_keys = data(&site.client, "site").await?;
    let whole = ["tls.crt", "tls.key"].iter().all(|key| site_keys.get(*key).is_some_and(|value| !value.is_empty()));
    ensure!(whole, "Secret site has {:?}", site_keys.keys());
    Ok(())
}

async fn until_ready(client: &Client, name: &str) -> anyhow::Result<()> {
    let api = akv2k8s::api(client, "AzureKeyVaultSecret", "v2beta1");
    until(&format!("{name} ready"), SOON, async || {
        let conditions = api.get(name).await?.data["status"]["conditions"].clone();
        let conditions: Vec<Value> = serde_json::from_value(conditions).unwrap_or_default();
        let is_ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
        Ok(if conditions.iter().any(is_ready) { Look::Found(()) } else { Look::NotYet(conditions) })
    })
    .await
}

/// Until a Secret holds exactly this. Its values are never shown.
async fn until_held(client: &Client, name: &str, held: &[(&str, &str)]) -> anyhow::Result<()> {
    let held: BTreeMap<String, Vec<u8>> =
        held.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    until_true(&format!("Secret {name} as the vault has it"), SOON, async || Ok(data(client, name).await? == held))
        .await
}

async fn data(client: &Client, name: &str) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let data = secret(client, name).await?.data.unwrap_or_default();
    Ok(data.into_iter().map(|(key, value)| (key, value.0)).collect())
}

async fn secret(client: &Client, name: &str) -> anyhow::Result<Secret> {
    Ok(Api::<Secret>::namespaced(client.clone(), NAMESPACE).get(name).await?)
}
