//! A shop whose broker takes events, and what delivers them as Event Grid does.

use std::{fs, net::SocketAddr, time::Instant};

use keyward_tests::{
    process::MARKER,
    resilience::shop::{Asker, Building, LOOK_EVERY, PATIENCE, Shop, Vault},
    stand::TENANT,
    vault::Store,
};
use reqwest::{Certificate, Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

pub(crate) const VAULT: &str = "acme";
pub(crate) const KEY: &str = "kwcanary-event-grid-0123456789abcdef";
pub(crate) const NEXT_KEY: &str = "kwcanary-event-grid-fedcba9876543210";
pub(crate) const AUDIENCE: &str = "api://keyward-events";
/// The application that Event Grid is.
const EVENT_GRID: &str = "4962773b-9cdb-44cf-a8bf-237846a00ab7";

/// How events are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schema {
    EventGrid,
    CloudEvent,
    CloudBatch,
}

pub(crate) struct Grid {
    pub(crate) shop: Shop,
    pub(crate) client: Client,
    asker: Asker,
    events: SocketAddr,
    keys: TempDir,
}

/// Adds a proof to a request.
pub(crate) type Proof = Box<dyn Fn(RequestBuilder) -> RequestBuilder>;

impl Grid {
    /// A vault of ten secrets, of which so many are held, and nothing was called since.
    pub(crate) async fn open(held: usize) -> Self {
        let keys = tempfile::tempdir().unwrap();
        fs::write(keys.path().join("key1"), KEY).unwrap();
        let vault = Vault { name: VAULT, secrets: 10, used: 10, settings: "pollInterval: 1h" };
        let environment = [
            ("KEYWARD_EVENTS_LISTEN", "127.0.0.1:0"),
            ("KEYWARD_EVENTS_KEY_DIR", keys.path().to_str().unwrap()),
            ("KEYWARD_EVENTS_ENTRA_TENANT", TENANT),
            ("KEYWARD_EVENTS_ENTRA_AUDIENCE", AUDIENCE),
        ];
        let shop = Shop::open(Building { environment: &environment, ..Building::of(&[vault]) }).await.unwrap();
        let said = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["events"].as_str()?.parse().ok()
        };
        let events = shop.stand.broker.line("where it takes events", said).await.unwrap();
        let ca = Certificate::from_pem(shop.stand.ca.cert_pem().as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
        let asker = shop.asker("checkout-1").await.unwrap();
        asker.warm(VAULT, held).await.unwrap();
        shop.stand.emulator.reset_calls();
        Self { shop, client, asker, events, keys }
    }

    pub(crate) fn vault(&self) -> Store {
        self.shop.vault(VAULT).unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.events.port())
    }

    /// Replaces the second key as a kubelet would: whole or not at all.
    pub(crate) fn write_key(&self, file: &str, key: &str) {
        let part = self.keys.path().join(".part");
        fs::write(&part, key).unwrap();
        fs::rename(part, self.keys.path().join(file)).unwrap();
    }

    /// Word of a new version, as a `CloudEvent`.
    pub(crate) fn created(&self, id: &str, name: &str) -> Value {
        json!({
            "id": id, "specversion": "1.0", "subject": name, "time": "2026-11-27T12:00:00Z",
            "source": format!("/subscriptions/0/resourceGroups/g/providers/Microsoft.KeyVault/vaults/{VAULT}"),
            "type": "Microsoft.KeyVault.SecretNewVersionCreated",
            "data": {
                "Id": format!("{}/secrets/{name}/1", self.shop.stand.emulator.vault_url(VAULT)), "VaultName": VAULT,
                "ObjectType": "Secret", "ObjectName": name, "Version": "1", "NBF": null, "EXP": null,
            },
        })
    }

    /// Delivers them, and shows the key.
    pub(crate) async fn post(&self, schema: Schema, events: &[Value]) -> Response {
        let (media, body) = match schema {
            Schema::EventGrid => ("application/json; charset=utf-8", events.iter().map(of_event_grid).collect()),
            Schema::CloudEvent => ("application/cloudevents+json; charset=utf-8", events[0].clone()),
            Schema::CloudBatch => ("application/cloudevents-batch+json; charset=utf-8", Value::from(events)),
        };
        let request = self.client.post(self.url("/events")).header("content-type", media).body(body.to_string());
        with_key(KEY)(request).send().await.unwrap()
    }

    /// A token of these claims, which the emulator's Entra has signed.
    pub(crate) fn with_token(&self, claims: &Value) -> Proof {
        let token = self.shop.stand.emulator.entra_token(claims).unwrap();
        Box::new(move |request| request.bearer_auth(&token))
    }

    /// Claims of Event Grid's own token.
    pub(crate) fn claims(&self) -> Value {
        let issuer = format!("{}/{TENANT}/v2.0", self.shop.stand.emulator.authority().trim_end_matches('/'));
        json!({"iss": issuer, "aud": AUDIENCE, "exp": 4_000_000_000_u64, "nbf": 1_700_000_000, "azp": EVENT_GRID})
    }

    /// Returns once everybody gets this value.
    pub(crate) async fn until(&self, name: &str, value: &str) {
        let began = Instant::now();
        while self.asker.ask(&[name.to_owned()]).await.unwrap().into_inner() != [value.as_bytes()] {
            assert!(began.elapsed() < PATIENCE, "{name} does not change");
            sleep(LOOK_EVERY).await;
        }
    }

    /// Returns once the vault was called so often.
    pub(crate) async fn until_calls(&self, calls: u64) {
        let began = Instant::now();
        while self.shop.stand.emulator.calls().total() < calls {
            assert!(began.elapsed() < PATIENCE, "there are no {calls} calls");
            sleep(LOOK_EVERY).await;
        }
    }

    /// What the vault was asked, by operation.
    pub(crate) fn calls(&self) -> Vec<(String, u64)> {
        let report = self.shop.stand.emulator.calls();
        let mut calls = std::collections::BTreeMap::new();
        for row in report.rows() {
            *calls.entry(row.operation.clone()).or_insert(0) += row.count;
        }
        calls.into_iter().collect()
    }

    /// So many events had this outcome.
    pub(crate) async fn counted(&self, outcome: &str) -> String {
        let label = format!("outcome=\"{outcome}\"");
        self.shop.metric("keyward_events_total", &label).await.unwrap().unwrap().to_string()
    }

    /// No value and no key is in what the broker printed.
    pub(crate) fn leaves_no_trace(&self) {
        assert!(!self.shop.stand.broker.printed().contains(MARKER));
    }
}

/// The key as a delivery property.
pub(crate) fn with_key(key: &str) -> Proof {
    let key = key.to_owned();
    Box::new(move |request| request.header("Keyward-Key", &key))
}

/// The same event in Event Grid's own schema.
fn of_event_grid(event: &Value) -> Value {
    json!({
        "id": event["id"], "topic": event["source"], "subject": event["subject"], "eventType": event["type"],
        "eventTime": event["time"], "data": event["data"], "dataVersion": "1", "metadataVersion": "1",
    })
}
