//! A process that reads its secrets from the vault itself, as akv2k8s' injector does: a token for each process; for each
//! reference a client of its own, which is first challenged and then answered; three more tries where the vault throttles or
//! fails, as Microsoft's SDK for Go has them by default. It is in this process here, and so spared what starting one costs.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, header};
use tokio::time::sleep;

use crate::{
    stand::{CLIENT, TENANT},
    vault::{Emulator, ProjectedToken},
};

/// After the first try; `MaxRetries` of azcore.
const RETRIES: u32 = 3;
/// `RetryDelay` of azcore; it doubles.
const FIRST_DELAY: Duration = Duration::from_millis(800);
/// As the injector's container would be told.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all of them know.
#[derive(Clone, Debug)]
pub struct Direct {
    authority: String,
    assertion: String,
    roots: Certificate,
}

/// A secret of a vault.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The vault's URL.
    pub vault: String,
    /// Its name.
    pub name: String,
}

impl Direct {
    /// Of this emulator.
    pub fn of(emulator: &Emulator) -> anyhow::Result<Self> {
        let federated = ProjectedToken::for_pod("keyward", "keyward-broker", "keyward-broker-0")
            .audience("api://AzureADTokenExchange");
        let roots = Certificate::from_pem(emulator.ca_pem().as_bytes())?;
        Ok(Self { authority: emulator.authority(), assertion: emulator.projected_token(&federated)?, roots })
    }

    /// One process: everything that is wanted, one after the other, or the first failure.
    pub async fn start(&self, wanted: &[Wanted], chance: &mut fastrand::Rng) -> anyhow::Result<()> {
        let client = Client::builder().tls_certs_only([self.roots.clone()]).no_proxy().timeout(PATIENCE).build()?;
        let token = self.token(&client).await.context("no token")?;
        for Wanted { vault, name } in wanted {
            let url = format!("{vault}/secrets/{name}?api-version=7.4");
            let challenged = again(client.get(&url), chance).await?;
            ensure!(challenged.status() == StatusCode::UNAUTHORIZED, "{name}: {}", challenged.status());
            let answer = again(client.get(&url).header(header::AUTHORIZATION, &token), chance).await?;
            ensure!(answer.status().is_success(), "{name}: {}", answer.status());
            let answer: serde_json::Value = answer.json().await?;
            ensure!(answer["value"].is_string(), "{name} has no value");
        }
        Ok(())
    }

    async fn token(&self, client: &Client) -> anyhow::Result<String> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &self.assertion),
            ("scope", "https://vault.azure.net/.default"),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let url = format!("{}/{TENANT}/oauth2/v2.0/token", self.authority.trim_end_matches('/'));
        let request = client.post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let answer: serde_json::Value = request.send().await?.error_for_status()?.json().await?;
        Ok(format!("Bearer {}", answer["access_token"].as_str().context("the answer has no token")?))
    }
}

/// Sends it, and sends it again where that may help.
async fn again(request: RequestBuilder, chance: &mut fastrand::Rng) -> anyhow::Result<Response> {
    for retry in 0..RETRIES {
        let one = request.try_clone().context("it cannot be sent twice")?;
        match one.send().await {
            Ok(answer) if !passes(answer.status()) => return Ok(answer),
            // From 0.8 to 1.3 of the delay, as azcore spreads them.
            Ok(_) | Err(_) => sleep((FIRST_DELAY * (1 << retry)).mul_f64(0.8 + chance.f64() / 2.0)).await,
        }
    }
    Ok(request.send().await?)
}

/// What azcore tries again.
fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Rule;

    #[tokio::test]
    async fn each_reference_costs_a_challenge_and_a_read_and_what_is_throttled_for_long_fails() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let subject = "system:serviceaccount:keyward:keyward-broker";
        let objects = format!(
            "vaults: {{acme: {{secrets: {{one: {{value: a}}, two: {{value: b}}}}}}}}\n\
             identities: [{{clientId: {CLIENT}, federatedSubjects: [\"{subject}\"]}}]\n"
        );
        let emulator = Emulator::builder().objects_yaml(&objects).start().await.unwrap();
        let (direct, mut chance) = (Direct::of(&emulator).unwrap(), fastrand::Rng::with_seed(1));
        let wanted = ["one", "two"].map(|name| Wanted { vault: emulator.vault_url("acme"), name: name.to_owned() });
        direct.start(&wanted, &mut chance).await.unwrap();
        let calls = emulator.calls();
        let count = |status| calls.matching(|call| call.vault == "acme" && call.status == status);
        assert_eq!((count(401), count(200)), (2, 2));
        assert_eq!(calls.matching(|call| call.vault == "entra"), 1);
        emulator.faults().arm(Rule::status(1, 403).vault("acme")).unwrap();
        direct.start(&wanted, &mut chance).await.unwrap_err();
    }
}
