//! What arrives at the broker's port and is no good request.

use keyward_proto::v1::{
    Reference, ResolveRequest, StatusRequest, cache_client::CacheClient, secrets_client::SecretsClient,
};
use keyward_tests::stand::TRUST_DOMAIN;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{
    Code, Request,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};

use super::support::{cache, channel, launch, resolve, secret, shop, shop_token, value};

#[tokio::test]
async fn only_an_operator_may_see_the_status() {
    let stand = shop("").await;
    let status = CacheClient::new(channel(&stand, None).await).status(StatusRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{}", status.message());
    for role in ["broker", "controller", "webhook", "admin"] {
        let mut client = CacheClient::new(channel(&stand, Some(role)).await);
        let status = client.status(StatusRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{role}: {}", status.message());
    }
    cache(&stand).await.status(StatusRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_pods_token_opens_no_operators_method() {
    let stand = shop("").await;
    let token = stand.emulator.projected_token(&shop_token()).unwrap();
    let mut request = Request::new(StatusRequest::default());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let status = CacheClient::new(channel(&stand, None).await).status(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn certificates_of_another_trust_domain_or_authority_open_nothing() {
    let stand = shop("").await;
    let foreign_domain = stand.ca.issue_role("operator", "elsewhere.test").unwrap();
    let stranger = keyward_tests::ca::TestCa::new("stranger").unwrap().issue_role("operator", TRUST_DOMAIN).unwrap();
    for (what, issued) in [("trust domain", foreign_domain), ("authority", stranger)] {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(stand.ca.cert_pem()))
            .identity(Identity::from_pem(issued.cert_pem, issued.key_pem));
        let endpoint = Endpoint::from_shared(stand.broker_url()).unwrap().tls_config(tls).unwrap();
        // In TLS 1.3 a client learns of its refusal only when it uses the connection.
        let answer = match endpoint.connect().await {
            Ok(channel) => CacheClient::new(channel).status(StatusRequest::default()).await.map(drop),
            Err(_) => continue,
        };
        assert!(answer.is_err(), "{what}");
    }
}

#[tokio::test]
async fn too_many_references_and_too_large_a_message_are_refused_by_number() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    let token = stand.emulator.projected_token(&shop_token()).unwrap();
    let status = resolve(&stand, Some(&token), &vec!["db-password"; 10_000]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "10000 references in one request; at most 1000 are answered");

    let huge = Reference { name: "a".repeat(1 << 20), query: None };
    let mut request = Request::new(ResolveRequest { references: vec![huge], ..ResolveRequest::default() });
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let status = SecretsClient::new(channel(&stand, None).await).resolve(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{}", status.message());

    resolve(&stand, Some(&token), &vec!["db-password"; 1_000]).await.unwrap();
}

#[tokio::test]
async fn plaintext_on_the_tls_port_gets_nothing_and_disturbs_nobody() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    let mut plain = TcpStream::connect(stand.grpc).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A TLS alert at most, then the end.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(answer.len() < 16, "{answer:?}");
    assert!(value(&stand, "db-password@azurekeyvault").await == "kwcanary-db-1");
}

#[tokio::test]
async fn the_launcher_sends_no_token_to_a_server_it_cannot_trust() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    let stranger = keyward_tests::ca::TestCa::new("stranger").unwrap();
    std::fs::write(stand.directory().join("ca.crt"), stranger.cert_pem()).unwrap();
    let finished = launch(&stand, &shop_token(), "db-password@azurekeyvault").await;
    assert_eq!(finished.status.code(), Some(78), "{}", finished.stderr);
    assert!(finished.stderr.contains("untrusted certificate"), "{}", finished.stderr);
    let audited = stand.broker.printed().contains(r#""audit":"resolve""#);
    assert!(!audited, "no request may have reached the broker");
}

#[tokio::test]
async fn health_is_open_to_anyone_with_the_authority() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    let stand = shop("").await;
    for service in ["", "keyward.v1.Secrets", "keyward.v1.Cache"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = HealthClient::new(channel(&stand, None).await).check(request).await.unwrap().into_inner();
        assert_eq!(answer.status, 1, "{service}");
    }
}

#[tokio::test]
async fn reflection_lists_the_services() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let stand = shop("").await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel(&stand, None).await);
    let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("another answer");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"keyward.v1.Secrets") && names.contains(&"keyward.v1.Cache"), "{names:?}");
}
