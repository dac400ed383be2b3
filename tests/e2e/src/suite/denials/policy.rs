//! What a namespace may not read, whoever asks in its name.

use anyhow::ensure;
use keyward_proto::v1::{FetchRequest, Verdict};
use kube::ResourceExt as _;
use tonic::Code;

use crate::{
    callers::refused,
    manifests::akvs,
    scene::Scene,
    stand::admits,
    wait::{Look, SOON, until},
};

tests![
    a_pod_of_one_namespace_gets_nothing_that_another_declares,
    a_vault_that_nobody_declares_is_read_for_nobody,
    a_vault_that_admits_other_namespaces_is_not_read_for_this_one,
    a_namespace_that_is_no_longer_admitted_reads_no_more,
    a_secret_edited_to_another_vault_after_it_was_checked_is_refused,
];

/// A vault that is polled every ten minutes: who has asked it meanwhile was asked for.
const QUIET: &str = "load-0";

async fn a_pod_of_one_namespace_gets_nothing_that_another_declares(scene: &Scene) -> anyhow::Result<()> {
    let stand = scene.stand().await?;
    stand.vault(QUIET)?.set_secret("policy-other", "kwcanary-other")?;
    let (shop, bank) = (scene.namespace("shop", &[QUIET]).await?, scene.namespace("bank", &[QUIET]).await?);
    scene.apply(&akvs(&bank, "ledger", QUIET, "policy-other", "")).await?;
    let broker = stand.broker().await?;
    let (_, teller) = scene.pod_with(&bank, "teller", &["ledger"]).await?;
    // Whoever may create pods may have them carry anything: it is still their own namespace's.
    let theirs = format!("{bank}.ledger");
    let (_, thief) = scene.pod_with(&shop, "thief", &["ledger", &theirs]).await?;
    ensure!(broker.resolve_soon(&teller, &["ledger"]).await?.are(&["kwcanary-other"]), "the bank reads its own");
    let calls = stand.vault_calls(QUIET, "policy-other");
    for name in ["ledger".to_owned(), theirs] {
        refused(&name, Code::NotFound, broker.resolve(&thief, &[&name]).await)?;
    }
    let path = format!("{bank}/ledger");
    refused(&path, Code::InvalidArgument, broker.resolve(&thief, &[&path]).await)?;
    ensure!(stand.vault_calls(QUIET, "policy-other") == calls, "the vault was asked for a thief");
    Ok(())
}

async fn a_vault_that_nobody_declares_is_read_for_nobody(scene: &Scene) -> anyhow::Result<()> {
    is_closed(scene, "undeclared", &["undeclared"]).await
}

async fn a_vault_that_admits_other_namespaces_is_not_read_for_this_one(scene: &Scene) -> anyhow::Result<()> {
    is_closed(scene, "partner", &["acme"]).await?;
    is_closed(scene, "sealed", &["acme", "sealed"]).await
}

/// A namespace with these labels gets nothing of `vault`, neither for its pods nor for its Secrets.
async fn is_closed(scene: &Scene, vault: &str, labels: &[&str]) -> anyhow::Result<()> {
    let stand = scene.stand().await?;
    stand.vault(vault)?.set_secret("policy-closed", "kwcanary-closed")?;
    let namespace = scene.namespace("shop", labels).await?;
    let output = "output: {secret: {name: closed, dataKey: value}}";
    let secret = scene.apply_one(&akvs(&namespace, "closed", vault, "policy-closed", output)).await?;
    let broker = stand.broker().await?;
    broker.until_checked(&namespace, "closed", Verdict::Forbidden).await?;
    let (_, token) = scene.pod_with(&namespace, "checkout", &["closed"]).await?;
    refused(vault, Code::PermissionDenied, broker.resolve(&token, &["closed"]).await)?;
    let request = FetchRequest {
        namespace,
        name: "closed".to_owned(),
        uid: secret.uid().unwrap_or_default(),
        generation: secret.metadata.generation.unwrap_or_default(),
    };
    refused(vault, Code::PermissionDenied, broker.fetch(request).await)?;
    ensure!(stand.vault_calls(vault, "policy-closed") == 0, "{vault} was asked");
    Ok(())
}

async fn a_namespace_that_is_no_longer_admitted_reads_no_more(scene: &Scene) -> anyhow::Result<()> {
    let stand = scene.stand().await?;
    stand.vault("partner")?.set_secret("policy-expelled", "kwcanary-expelled")?;
    let namespace = scene.namespace("shop", &["partner"]).await?;
    scene.apply(&akvs(&namespace, "db", "partner", "policy-expelled", "")).await?;
    let broker = stand.broker().await?;
    let (_, token) = scene.pod(&namespace, "checkout").await?;
    ensure!(broker.resolve_soon(&token, &["db"]).await?.are(&["kwcanary-expelled"]), "it is admitted");
    scene.unlabel(&namespace, &admits("partner").0).await?;
    let look = async || {
        Ok(match broker.resolve(&token, &["db"]).await {
            Err(status) if status.code() == Code::PermissionDenied => Look::Found(()),
            answer => Look::NotYet(answer),
        })
    };
    until("the end of its admission", SOON, look).await
}

async fn a_secret_edited_to_another_vault_after_it_was_checked_is_refused(scene: &Scene) -> anyhow::Result<()> {
    let stand = scene.stand().await?;
    stand.vault("acme")?.set_secret("policy-edited", "kwcanary-mine")?;
    stand.vault("sealed")?.set_secret("policy-edited", "kwcanary-not-mine")?;
    let namespace = scene.namespace("shop", &["acme"]).await?;
    scene.apply(&akvs(&namespace, "db", "acme", "policy-edited", "")).await?;
    let broker = stand.broker().await?;
    broker.until_checked(&namespace, "db", Verdict::Known).await?;
    let (_, token) = scene.pod(&namespace, "checkout").await?;
    scene.apply(&akvs(&namespace, "db", "sealed", "policy-edited", "")).await?;
    // Until the broker has heard of it, it answers as it was checked; then it refuses. Never is it the other vault's.
    let look = async || match broker.resolve(&token, &["db"]).await {
        Err(status) if status.code() == Code::PermissionDenied => Ok(Look::Found(())),
        Ok(values) if !values.are(&["kwcanary-mine"]) => anyhow::bail!("a value of the other vault"),
        answer => Ok(Look::NotYet(answer)),
    };
    until("the refusal", SOON, look).await?;
    ensure!(broker.check(&namespace, "db").await? == Verdict::Forbidden, "checked anew, it is forbidden");
    ensure!(stand.vault_calls("sealed", "policy-edited") == 0, "the other vault was asked");
    Ok(())
}
