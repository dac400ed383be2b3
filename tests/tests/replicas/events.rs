//! Event Grid delivers to whichever replica its Service leads to, and the vault's owner looks.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use keyward_tests::fleet::{Fleet, until};
use reqwest::{Certificate, Client};
use serde_json::{Value, json};

use super::shop::{ask_for_all, calls, plan, reference};

const KEY: &str = "kwcanary-event-grid-0123456789abcdef";
/// From an event to the value that everybody gets.
const SEEN_WITHIN: Duration = Duration::from_secs(2);

async fn takes_events_at(fleet: &Fleet, number: usize) -> SocketAddr {
    let said = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        line["events"].as_str()?.parse().ok()
    };
    fleet.process(number).unwrap().line("where it takes events", said).await.unwrap()
}

/// What a replica has just won of a budget comes to it over ten seconds, and a look leaves a part of it to pods that start.
async fn until_looks_are_within_the_budget(fleet: &Fleet) {
    let owner = fleet.owner(0, "acme").await.unwrap();
    let half_is_there = async || {
        let vaults = fleet.status(owner).await?.vaults;
        Ok(vaults.iter().any(|vault| vault.name == "acme" && vault.budget_left >= vault.budget / 2))
    };
    until("half of the budget to be there", half_is_there).await.unwrap();
}

#[tokio::test]
async fn an_event_at_any_replica_costs_one_read_and_all_of_them_serve_what_it_is_about() {
    let keys = tempfile::tempdir().unwrap();
    fs::write(keys.path().join("key1"), KEY).unwrap();
    let mut plan = plan("");
    for (name, value) in
        [("KEYWARD_EVENTS_LISTEN", "127.0.0.1:0"), ("KEYWARD_EVENTS_KEY_DIR", keys.path().to_str().unwrap())]
    {
        plan.broker_environment.insert(name.to_owned(), value.to_owned());
    }
    let fleet = Fleet::start(plan, 2).await.unwrap();
    fleet.emulator.clock().skew(3_600);
    let askers = [fleet.asker(0, "checkout-1").await.unwrap(), fleet.asker(1, "checkout-1").await.unwrap()];
    ask_for_all(&askers[0]).await;
    until_looks_are_within_the_budget(&fleet).await;
    let ca = Certificate::from_pem(fleet.ca.cert_pem().as_bytes()).unwrap();
    for number in 0..2 {
        let events = takes_events_at(&fleet, number).await;
        let addressed = Client::builder().tls_certs_only([ca.clone()]).resolve("localhost", events).no_proxy();
        let client = addressed.build().unwrap();
        let value = format!("kwcanary-acme-0-by-{number}");
        fleet.emulator.store("acme").unwrap().set_secret("s0", &value).unwrap();
        fleet.emulator.reset_calls();
        let event = json!({"id": format!("e-{number}"), "source": "/vaults/acme", "specversion": "1.0",
            "type": "Microsoft.KeyVault.SecretNewVersionCreated", "data": {"VaultName": "acme", "ObjectName": "s0"}});
        let began = Instant::now();
        let request = client.post(format!("https://localhost:{}/events", events.port())).header("keyward-key", KEY);
        assert_eq!(request.json(&event).send().await.unwrap().status(), 200);
        for asker in &askers {
            let served = async || Ok(asker.value(&reference("acme", 0)).await? == value);
            until("the new value is served", served).await.unwrap();
        }
        assert!(began.elapsed() < SEEN_WITHIN, "by way of {number}: {:?}", began.elapsed());
        assert_eq!(calls(&fleet), 1, "by way of {number}");
    }
}
