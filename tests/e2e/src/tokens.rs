//! Service accounts' tokens, as the kubelet asks for them, and as it never would.

use anyhow::Context as _;
use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{Pod, ServiceAccount},
};
use kube::{Api, Client, ResourceExt as _, api::PostParams};

/// The broker's audience.
pub const BROKER: &str = keyward_proto::TOKEN_AUDIENCE;

/// The API server's own.
pub const API_SERVER: &str = "https://kubernetes.default.svc.cluster.local";

/// Asks for a token of a service account. It lives for an hour.
pub async fn request(
    client: &Client,
    namespace: &str,
    service_account: &str,
    audiences: &[&str],
    bound_to: Option<&Pod>,
) -> anyhow::Result<String> {
    let bound_object_ref = bound_to.map(|pod| BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(pod.name_any()),
        uid: pod.uid(),
    });
    let spec = TokenRequestSpec {
        audiences: audiences.iter().map(ToString::to_string).collect(),
        bound_object_ref,
        expiration_seconds: Some(3_600),
    };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let answer = accounts.create_token_request(service_account, &PostParams::default(), &request).await;
    let answer = answer.with_context(|| format!("a token of {namespace}/{service_account}"))?;
    Ok(answer.status.context("a token request without an answer")?.token)
}

/// The projected token of a pod, as its launcher finds it.
pub async fn of_pod(client: &Client, pod: &Pod) -> anyhow::Result<String> {
    let namespace = pod.namespace().context("a pod without a namespace")?;
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
    request(client, &namespace, account, &[BROKER], Some(pod)).await
}
