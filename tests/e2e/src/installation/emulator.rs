//! The release's Key Vault, by its own REST interface: people change their secrets.

use anyhow::{Context as _, ensure};
use keyward_tests::stand::{CLIENT, TENANT};
use reqwest::{Certificate, Client, RequestBuilder};
use serde_json::{Value, json};

use super::authority;

/// The vault that the release declares.
pub const VAULT: &str = "acme";

/// The one of akv2k8s' own example.
pub const EXAMPLE_VAULT: &str = "akv2k8s-test";

/// A secret of [`VAULT`], and its value.
pub const SEEDED: (&str, &str) = ("db", "kwcanary-db");

/// Made up, as in the examples.
const CLIENT_SECRET: &str = "not-a-real-client-secret";

/// Its Service. The process that asks is on the node.
const HOST: &str = "keyward-vault.keyward.svc";

/// Vaults have ports in the order of their names.
const VAULT_PORT: u16 = 9443;

/// What it holds.
pub fn objects() -> Value {
    let secret = |value: &str| json!({"value": value});
    let settings = json!({"level": "kwcanary-before-level", "port": "8080"}).to_string();
    json!({
        "vaults": {
            VAULT: {
                "secrets": {
                    "canary": secret("kwcanary-canary"),
                    SEEDED.0: secret(SEEDED.1),
                    "before-db": secret("kwcanary-before-db"),
                    "before-login": secret("mailer:kwcanary-before-login"),
                    "before-settings": secret(&settings),
                    "before-flags": secret("dark-mode"),
                    "before-left": secret("kwcanary-before-left"),
                    "before-right": secret("kwcanary-before-right"),
                },
                "certificates": {
                    "before-site": {"subject": "CN=site.example", "dnsNames": ["site.example"], "keyType": "ec-p256"},
                },
            },
            EXAMPLE_VAULT: {"secrets": {"my-secret": secret("kwcanary-my-secret")}},
        },
        "identities": [{"tenant": TENANT, "clientId": CLIENT, "clientSecret": CLIENT_SECRET}],
    })
}

/// Who sets secrets.
pub struct Emulator {
    http: Client,
    token: String,
}

impl Emulator {
    /// Signs in. It is there.
    pub async fn sign_in(client: &kube::Client) -> anyhow::Result<Self> {
        let tls = authority::data(client, "keyward-vault-tls").await?.context("no Secret keyward-vault-tls")?;
        let ca = Certificate::from_pem(tls.get("ca.crt").context("no ca.crt")?)?;
        let http = Client::builder().tls_certs_only([ca]).build()?;
        let form = format!(
            "grant_type=client_credentials&client_id={CLIENT}&client_secret={CLIENT_SECRET}&\
             scope=https%3A%2F%2Fvault.azure.net%2F.default"
        );
        let request = http.post(format!("https://{HOST}:9400/{TENANT}/oauth2/v2.0/token"));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        let answer = answered(request).await.context("signing in")?;
        let token = answer["access_token"].as_str().context("no token")?.to_owned();
        Ok(Self { http, token })
    }

    /// Sets the value of a secret of [`VAULT`].
    pub async fn set(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let url = format!("https://{HOST}:{VAULT_PORT}/secrets/{name}?api-version=7.4");
        let request = self.http.put(url).bearer_auth(&self.token).json(&json!({"value": value}));
        answered(request).await.with_context(|| format!("setting {name}")).map(drop)
    }
}

/// An answer that is good. What it holds is never shown.
async fn answered(request: RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    Ok(answer.json().await?)
}
