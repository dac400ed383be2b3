//! A small shop, and clients of each role.

use keyward_proto::v1::{Reference, ResolveRequest};
use keyward_tests::{
    stand::{Plan, Stand, TRUST_DOMAIN},
    vault::ProjectedToken,
};
use tonic::{
    Request,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// Values are `kwcanary-…`: whoever prints one is found out.
const OBJECTS: &str = r#"
vaults:
  acme:
    secrets:
      db: {value: kwcanary-db-1}
      login: {value: "kwcanary-user:kwcanary-password"}
      big: {value: "kwcanary-BIG"}
identities:
  - clientId: 22222222-2222-2222-2222-222222222222
    federatedSubjects: ["system:serviceaccount:keyward:keyward-broker"]
"#;

/// Namespace `shop` may read all of `acme`.
pub(crate) const VAULT: &str = "
apiVersion: keyward.dev/v1alpha1
kind: AzureKeyVault
metadata: {name: acme}
spec: {vaultName: acme, url: https://acme.emulated, namespaces: {names: [shop]}}
";

/// An `AzureKeyVaultSecret` of `shop` with any metadata and more of its spec.
pub(crate) fn secret(name: &str, object: &str, metadata: &str, more: &str) -> String {
    format!(
        "---\napiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\n\
         metadata: {{name: {name}, namespace: shop{metadata}}}\n\
         spec: {{vault: {{name: acme, object: {{name: {object}, type: secret}}}}{more}}}\n"
    )
}

/// A plan with these manifests beside [`VAULT`].
pub(crate) fn plan(manifests: &str) -> Plan {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // As large as a secret may be, so that few of them make a reply too large.
    let big = format!("kwcanary-{}", "b".repeat(25_000));
    let mut plan = Plan { objects: OBJECTS.replace("kwcanary-BIG", &big), ..Plan::default() };
    plan.manifests.insert("all.yaml".to_owned(), format!("{VAULT}{manifests}"));
    plan
}

/// A stand by [`plan`].
pub(crate) async fn shop(manifests: &str) -> Stand {
    Stand::start(plan(manifests)).await.unwrap()
}

/// Where a broker is and whom to trust.
pub(crate) fn endpoint(stand: &Stand, role: Option<&str>) -> Endpoint {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(stand.ca.cert_pem()));
    if let Some(role) = role {
        let issued = stand.ca.issue_role(role, TRUST_DOMAIN).unwrap();
        tls = tls.identity(Identity::from_pem(issued.cert_pem, issued.key_pem));
    }
    Endpoint::from_shared(stand.broker_url()).unwrap().tls_config(tls).unwrap()
}

/// A channel to the broker, with the certificate of `role` where one is named.
pub(crate) async fn channel(stand: &Stand, role: Option<&str>) -> Channel {
    endpoint(stand, role).connect().await.unwrap()
}

/// A token of a pod of `shop`.
pub(crate) fn token(stand: &Stand, pod: &str) -> String {
    stand.emulator.projected_token(&ProjectedToken::for_pod("shop", "checkout", pod)).unwrap()
}

/// A `Resolve` of whole objects with a pod's token.
pub(crate) fn resolve(token: &str, names: &[&str]) -> Request<ResolveRequest> {
    let references = names.iter().map(|name| Reference { name: (*name).to_owned(), query: None }).collect();
    let mut request = Request::new(ResolveRequest { references, ..ResolveRequest::default() });
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// The `nth` audit line of a kind.
pub(crate) async fn audited(stand: &Stand, nth: usize, kind: &str) -> serde_json::Value {
    let is_it = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["audit"] == kind).then_some(line)
    };
    stand.broker.nth_line(nth, "an audit line", is_it).await.unwrap()
}
