//! Tokens that open nothing.

use std::time::{Duration, Instant};

use anyhow::ensure;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::{Api, api::DeleteParams};
use tonic::Code;

use crate::{
    callers::{Callers, refused},
    manifests::akvs,
    pods,
    scene::Scene,
    tokens::{self, API_SERVER, BROKER},
    wait::{Look, until},
};

tests![
    a_token_for_another_audience_is_refused,
    a_token_that_is_bound_to_no_pod_is_refused,
    a_token_that_was_altered_is_refused,
    a_token_of_what_is_gone_is_refused_within_90_seconds,
];

/// A namespace that may read `db` of `acme`, the broker, and a pod whose token has just read it.
async fn shop(scene: &Scene, object: &str) -> anyhow::Result<(String, Callers, Pod, String)> {
    let stand = scene.stand().await?;
    stand.vault("acme")?.set_secret(object, &format!("kwcanary-{object}"))?;
    let namespace = scene.namespace("shop", &["acme"]).await?;
    scene.apply(&akvs(&namespace, "db", "acme", object, "")).await?;
    let broker = stand.broker().await?;
    let (pod, token) = scene.pod(&namespace, "checkout").await?;
    let values = broker.resolve_soon(&token, &["db"]).await?;
    ensure!(values.are(&[&format!("kwcanary-{object}")]), "another value");
    Ok((namespace, broker, pod, token))
}

async fn a_token_for_another_audience_is_refused(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, broker, pod, _) = shop(scene, "tokens-audience").await?;
    for audiences in [&[API_SERVER][..], &[], &[BROKER, API_SERVER], &["other"], &["keyward-broker.other"]] {
        let token = tokens::request(scene.client(), &namespace, "default", audiences, Some(&pod)).await?;
        let answer = broker.resolve(&token, &["db"]).await;
        refused(&format!("audiences {audiences:?}"), Code::Unauthenticated, answer)?;
    }
    Ok(())
}

async fn a_token_that_is_bound_to_no_pod_is_refused(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, broker, ..) = shop(scene, "tokens-unbound").await?;
    let token = tokens::request(scene.client(), &namespace, "default", &[BROKER], None).await?;
    let status = refused("bound to nothing", Code::Unauthenticated, broker.resolve(&token, &["db"]).await)?;
    ensure!(status.message().contains("bound to no pod"), "{}", status.message());
    Ok(())
}

async fn a_token_that_was_altered_is_refused(scene: &Scene) -> anyhow::Result<()> {
    let (_, broker, _, token) = shop(scene, "tokens-altered").await?;
    let Some((signed, signature)) = token.rsplit_once('.') else { anyhow::bail!("a token without a signature") };
    let reversed: String = signature.chars().rev().collect();
    let cut = &token[..token.len() - 8];
    for altered in [format!("{signed}.{reversed}"), format!("{signed}."), cut.to_owned(), "kw".to_owned()] {
        refused("altered", Code::Unauthenticated, broker.resolve(&altered, &["db"]).await)?;
    }
    ensure!(broker.resolve(&token, &["db"]).await.is_ok(), "and the token itself is good still");
    Ok(())
}

/// All at once: each waits until the broker and the API server have forgotten their last verdict.
async fn a_token_of_what_is_gone_is_refused_within_90_seconds(scene: &Scene) -> anyhow::Result<()> {
    let waits = tokio::try_join!(deleted_pod(scene), predecessor(scene), deleted_service_account(scene));
    waits.map(drop)
}

async fn deleted_pod(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, broker, _, token) = shop(scene, "tokens-deleted").await?;
    pods::delete(scene.client(), &namespace, "checkout").await?;
    until_refused(&broker, &token, "a deleted pod's token").await?;
    // Once refused, it is not accepted again.
    refused("and again", Code::Unauthenticated, broker.resolve(&token, &["db"]).await)?;
    Ok(())
}

async fn predecessor(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, broker, _, old) = shop(scene, "tokens-predecessor").await?;
    pods::delete(scene.client(), &namespace, "checkout").await?;
    let (_, new) = scene.pod(&namespace, "checkout").await?;
    ensure!(broker.resolve(&new, &["db"]).await.is_ok(), "the new pod's token is good");
    until_refused(&broker, &old, "the token of an earlier pod of that name").await?;
    ensure!(broker.resolve(&new, &["db"]).await.is_ok(), "the new pod's token is good still");
    Ok(())
}

async fn deleted_service_account(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, broker, ..) = shop(scene, "tokens-account").await?;
    let text = format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: till, namespace: {namespace}}}");
    scene.apply(&text).await?;
    let pod = pods::create(scene.client(), &namespace, "till", "till", &["db"]).await?;
    let token = tokens::of_pod(scene.client(), &pod).await?;
    ensure!(broker.resolve(&token, &["db"]).await.is_ok(), "the token is good");
    let accounts: Api<ServiceAccount> = Api::namespaced(scene.client().clone(), &namespace);
    accounts.delete("till", &DeleteParams::default()).await?;
    until_refused(&broker, &token, "a deleted service account's token").await
}

/// A verdict is kept for 30 seconds at most, and the API server keeps its own for ten.
async fn until_refused(broker: &Callers, token: &str, what: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    let look = async || {
        Ok(match broker.resolve(token, &["db"]).await {
            Err(status) if status.code() == Code::Unauthenticated => Look::Found(()),
            answer => Look::NotYet(answer),
        })
    };
    until(what, Duration::from_secs(90), look).await?;
    ensure!(began.elapsed() <= Duration::from_secs(90), "{what}: refused after {:?}", began.elapsed());
    Ok(())
}
