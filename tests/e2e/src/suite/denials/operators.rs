//! Operators by the cluster's own RBAC: verbs `get` and `update` on `caches.keyward.dev`.

use anyhow::ensure;
use tonic::Code;

use crate::{
    callers::{Callers, refused},
    manifests::akvs,
    scene::Scene,
    tokens::{self, API_SERVER, BROKER},
    wait::{Look, SOON, until},
};

tests![
    an_operator_without_the_right_to_caches_is_refused,
    who_may_get_caches_sees_them_and_may_not_refresh,
    who_may_update_caches_refreshes_and_sees_nothing,
    an_operators_right_may_come_from_a_group_and_ends_with_its_binding,
    an_operators_token_for_the_api_server_is_refused_and_opens_no_secret,
];

/// A service account in a new namespace, with these verbs on caches; its token for the broker, and who calls.
async fn operator(scene: &Scene, verbs: &[&str]) -> anyhow::Result<(String, String, Callers)> {
    let namespace = scene.namespace("ops", &[]).await?;
    if !verbs.is_empty() {
        let subject = format!("{{kind: ServiceAccount, name: default, namespace: {namespace}}}");
        scene.apply(&role(&namespace, verbs, &subject)).await?;
    }
    let token = tokens::request(scene.client(), &namespace, "default", &[BROKER], None).await?;
    Ok((namespace, token, scene.stand().await?.broker().await?))
}

fn role(name: &str, verbs: &[&str], subject: &str) -> String {
    let verbs = verbs.join(", ");
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\n\
         rules: [{{apiGroups: [keyward.dev], resources: [caches], verbs: [{verbs}]}}]\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {name}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}\nsubjects: [{subject}]\n"
    )
}

async fn an_operator_without_the_right_to_caches_is_refused(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, token, broker) = operator(scene, &[]).await?;
    let (_, pods) = scene.pod(&namespace, "checkout").await?;
    for token in [token, pods] {
        let status = refused("Status", Code::PermissionDenied, broker.status(&token).await)?;
        ensure!(status.message().contains("caches"), "it says which right is missing: {}", status.message());
        refused("Refresh", Code::PermissionDenied, broker.refresh(&token, "acme").await)?;
        refused("Explain", Code::PermissionDenied, broker.explain(&token, &namespace, "db").await)?;
    }
    Ok(())
}

async fn who_may_get_caches_sees_them_and_may_not_refresh(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, token, broker) = operator(scene, &["get"]).await?;
    let status = broker.status_soon(&token).await?;
    ensure!(status.vaults.iter().any(|vault| vault.name == "acme"), "no vault acme in {} vaults", status.vaults.len());
    broker.explain(&token, &namespace, "db").await?;
    refused("Refresh", Code::PermissionDenied, broker.refresh(&token, "acme").await)?;
    Ok(())
}

async fn who_may_update_caches_refreshes_and_sees_nothing(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, token, broker) = operator(scene, &["update"]).await?;
    let look = async || {
        Ok(match broker.refresh(&token, "acme").await {
            Err(status) if status.code() == Code::PermissionDenied => Look::NotYet(status.message().to_owned()),
            answer => Look::Found(answer),
        })
    };
    until("the right to refresh", SOON, look).await??;
    refused("Status", Code::PermissionDenied, broker.status(&token).await)?;
    refused("Explain", Code::PermissionDenied, broker.explain(&token, &namespace, "db").await)?;
    Ok(())
}

async fn an_operators_right_may_come_from_a_group_and_ends_with_its_binding(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, token, broker) = operator(scene, &[]).await?;
    refused("before", Code::PermissionDenied, broker.status(&token).await)?;
    let group = format!("system:serviceaccounts:{namespace}");
    let text =
        role(&namespace, &["get"], &format!("{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: '{group}'}}"));
    scene.apply(&text).await?;
    broker.status_soon(&token).await?;
    let binding = text.split("---\n").nth(1).unwrap_or_default();
    scene.delete(binding).await?;
    let look = async || {
        Ok(match broker.status(&token).await {
            Err(status) if status.code() == Code::PermissionDenied => Look::Found(()),
            answer => Look::NotYet(answer.map(drop)),
        })
    };
    until("the end of the right", SOON, look).await
}

async fn an_operators_token_for_the_api_server_is_refused_and_opens_no_secret(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, token, broker) = operator(scene, &["get", "update"]).await?;
    broker.status_soon(&token).await?;
    let other = tokens::request(scene.client(), &namespace, "default", &[API_SERVER], None).await?;
    refused("the API server's audience", Code::Unauthenticated, broker.status(&other).await)?;
    refused("the API server's audience", Code::Unauthenticated, broker.refresh(&other, "acme").await)?;
    refused("no token", Code::Unauthenticated, broker.status("").await)?;
    let shop = scene.namespace("shop", &["acme"]).await?;
    scene.apply(&akvs(&shop, "db", "acme", "operators-db", "")).await?;
    refused("an operator as a pod", Code::Unauthenticated, broker.resolve(&token, &["db"]).await)?;
    Ok(())
}
