//! An emulator with one identity, and clients for it.

use std::sync::Arc;

use azure_core::{
    cloud::CustomConfiguration,
    credentials::{Secret, TokenCredential},
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use keyward_tests::vault::{CallCount, Emulator};
use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::{Value, json};

pub(crate) const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub(crate) const CLIENT: &str = "22222222-2222-2222-2222-222222222222";
pub(crate) const CLIENT_SECRET: &str = "kwcanary-client-secret";
pub(crate) const SCOPE: &str = "https://vault.azure.net/.default";

/// Objects that most tests need, beside the identity.
pub(crate) const IDENTITY: &str = r#"
identities:
  - clientId: 22222222-2222-2222-2222-222222222222
    clientSecret: kwcanary-client-secret
    federatedSubjects: ["system:serviceaccount:keyward:keyward-broker"]
    managed: system
"#;

/// An emulator with these vaults and [`IDENTITY`].
pub(crate) async fn emulator(vaults: &str) -> Emulator {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Emulator::builder().objects_yaml(&format!("{vaults}{IDENTITY}")).start().await.unwrap()
}

/// An emulator with an empty vault `acme`.
pub(crate) async fn empty() -> Emulator {
    emulator("vaults: {acme: {}}").await
}

/// A client that trusts the emulator alone.
pub(crate) fn http(emulator: &Emulator) -> Client {
    let ca = Certificate::from_pem(emulator.ca_pem().as_bytes()).unwrap();
    Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap()
}

/// What a token request got.
pub(crate) async fn ask_token(emulator: &Emulator, fields: &[(&str, &str)]) -> (StatusCode, Value) {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let url = format!("{}/{TENANT}/oauth2/v2.0/token", emulator.authority());
    let request = http(emulator).post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// An access token for the vaults.
pub(crate) async fn token(emulator: &Emulator) -> String {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_secret", CLIENT_SECRET),
        ("scope", SCOPE),
    ];
    let (status, body) = ask_token(emulator, &fields).await;
    assert_eq!(status, StatusCode::OK);
    body["access_token"].as_str().unwrap().to_owned()
}

/// A vault by raw HTTP, with a token.
pub(crate) struct Raw {
    client: Client,
    base: String,
    token: String,
}

/// An answer. Its body may be a secret: tests compare parts of it.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// `error.code` and `error.innererror.code`.
    pub(crate) fn error(&self) -> (&str, Option<&str>) {
        let error = &self.body["error"];
        (error["code"].as_str().unwrap_or_default(), error["innererror"]["code"].as_str())
    }
}

impl Raw {
    pub(crate) async fn new(emulator: &Emulator, vault: &str) -> Self {
        Self { client: http(emulator), base: emulator.vault_url(vault), token: token(emulator).await }
    }

    /// A request with the usual api-version.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let glue = if path.contains('?') { '&' } else { '?' };
        self.send_url(method, &format!("{}{path}{glue}api-version=7.6", self.base), body).await
    }

    /// A request to exactly this URL.
    pub(crate) async fn send_url(&self, method: Method, url: &str, body: Option<Value>) -> Answer {
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request.send().await.unwrap()).await
    }

    /// A GET whose answer may not come, or not whole.
    pub(crate) async fn try_get(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.client.get(format!("{}{path}?api-version=7.6", self.base)).bearer_auth(&self.token).send().await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// Sets a secret; it must succeed.
    pub(crate) async fn set(&self, name: &str, value: &str) -> Value {
        let answer = self.send(Method::PUT, &format!("/secrets/{name}"), Some(json!({"value": value}))).await;
        assert_eq!(answer.status, StatusCode::OK, "set {name}");
        answer.body
    }
}

pub(crate) async fn answer(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.unwrap();
    Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() }
}

/// Options for SDK clients: the emulator's authority and certificate, no retries.
pub(crate) fn client_options(emulator: &Emulator) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = emulator.authority();
    ClientOptions {
        transport: Some(Transport::new(Arc::new(http(emulator)))),
        retry: RetryOptions::none(),
        cloud: Some(Arc::new(cloud.into())),
        ..ClientOptions::default()
    }
}

/// The SDK's own client-secret credential.
pub(crate) fn credential(emulator: &Emulator) -> Arc<dyn TokenCredential> {
    let options = ClientSecretCredentialOptions { client_options: client_options(emulator) };
    ClientSecretCredential::new(TENANT, CLIENT.to_owned(), Secret::new(CLIENT_SECRET), Some(options)).unwrap()
}

/// Calls counted for one operation with one status.
pub(crate) fn count(emulator: &Emulator, operation: &str, status: u16) -> u64 {
    emulator.calls().matching(|call: &CallCount| call.operation == operation && call.status == status)
}
