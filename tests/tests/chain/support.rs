//! What every aspect needs: a small shop, a raw client, and a launcher whose program prints one variable.

use keyward_proto::v1::{
    Reference, ResolveRequest, ResolveResponse, cache_client::CacheClient, secrets_client::SecretsClient,
};
use keyward_tests::{
    process::{Finished, Process},
    stand::{Plan, Stand},
    vault::ProjectedToken,
};
use tonic::{
    Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// The vault of most tests. Values are `kwcanary-…`: whoever prints one is found out.
pub(crate) const OBJECTS: &str = r#"
vaults:
  acme:
    secrets:
      db-password: {value: kwcanary-db-1}
      mail-login: {value: "kwcanary-user:kwcanary:with:colons"}
      settings: {value: '{"log.level": "kwcanary-debug", "port": "8080"}'}
identities:
  - clientId: 22222222-2222-2222-2222-222222222222
    clientSecret: kwcanary-client-secret
    federatedSubjects: ["system:serviceaccount:keyward:keyward-broker"]
"#;

/// Namespace `shop` may read all of `acme`.
pub(crate) const VAULT: &str = "
apiVersion: keyward.dev/v1alpha1
kind: AzureKeyVault
metadata: {name: acme}
spec: {vaultName: acme, url: https://acme.emulated, namespaces: {names: [shop]}}
";

/// An `AzureKeyVaultSecret` named as its object.
pub(crate) fn secret(namespace: &str, name: &str, object_type: &str) -> String {
    secret_of(namespace, name, "acme", name, &format!("type: {object_type}"))
}

/// Any `AzureKeyVaultSecret`.
pub(crate) fn secret_of(namespace: &str, name: &str, vault: &str, object: &str, more: &str) -> String {
    format!(
        "---\napiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\n\
         metadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{vault: {{name: \"{vault}\", object: {{name: \"{object}\", {more}}}}}}}\n"
    )
}

/// A stand with [`OBJECTS`] and these manifests beside [`VAULT`].
pub(crate) async fn shop(manifests: &str) -> Stand {
    stand(OBJECTS, &format!("{VAULT}{manifests}")).await
}

/// A stand with one file of manifests.
pub(crate) async fn stand(objects: &str, manifests: &str) -> Stand {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut plan = Plan { objects: objects.to_owned(), ..Plan::default() };
    plan.manifests.insert("all.yaml".to_owned(), manifests.to_owned());
    Stand::start(plan).await.unwrap()
}

/// The token of pod `shop/checkout-1`.
pub(crate) fn shop_token() -> ProjectedToken {
    ProjectedToken::for_pod("shop", "checkout", "checkout-1")
}

/// Launches a program that prints `$VALUE`, which is `reference` before.
pub(crate) async fn launch(stand: &Stand, token: &ProjectedToken, reference: &str) -> Finished {
    let token = stand.write_token(token).unwrap();
    let mut launcher = stand.launcher(&token, &[("VALUE", reference)], &["sh", "-c", "printf %s \"$VALUE\""]).unwrap();
    Process::spawn_launcher("keyward-launcher", &mut launcher).unwrap().finish().await.unwrap()
}

/// What the launched program printed; the launcher must have succeeded.
pub(crate) async fn value(stand: &Stand, reference: &str) -> String {
    let finished = launch(stand, &shop_token(), reference).await;
    assert!(finished.status.success(), "{reference}: {}", finished.stderr);
    finished.stdout.trim_end_matches('\n').to_owned()
}

/// A channel to the broker, with the certificate of `role` where one is named.
pub(crate) async fn channel(stand: &Stand, role: Option<&str>) -> Channel {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(stand.ca.cert_pem()));
    if let Some(role) = role {
        let issued = stand.ca.issue_role(role, keyward_tests::stand::TRUST_DOMAIN).unwrap();
        tls = tls.identity(Identity::from_pem(issued.cert_pem, issued.key_pem));
    }
    Endpoint::from_shared(stand.broker_url()).unwrap().tls_config(tls).unwrap().connect().await.unwrap()
}

/// `Cache` as the operator.
pub(crate) async fn cache(stand: &Stand) -> CacheClient<Channel> {
    CacheClient::new(channel(stand, Some("operator")).await)
}

/// One raw `Resolve` of whole objects with this bearer token.
pub(crate) async fn resolve(stand: &Stand, token: Option<&str>, names: &[&str]) -> Result<ResolveResponse, Status> {
    let references = names.iter().map(|name| Reference { name: (*name).to_owned(), query: None }).collect();
    let mut request = Request::new(ResolveRequest { references, ..ResolveRequest::default() });
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    SecretsClient::new(channel(stand, None).await).resolve(request).await.map(tonic::Response::into_inner)
}
