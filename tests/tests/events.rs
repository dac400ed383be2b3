//! Event Grid's deliveries to a real broker: how soon a change is seen, what it costs, and who is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "events/denials.rs"]
mod denials;
#[path = "events/grid.rs"]
mod grid;

use std::time::{Duration, Instant};

use grid::{Grid, KEY, Schema, VAULT, with_key};
use keyward_tests::resilience::shop::{object, reference};

/// From an event to the value that everybody gets.
const SEEN_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_change_is_seen_soon_after_its_event_for_one_read_in_both_schemas() {
    let grid = Grid::open(5).await;
    for (n, schema) in [Schema::EventGrid, Schema::CloudEvent, Schema::CloudBatch].into_iter().enumerate() {
        let value = format!("kwcanary-changed-{n}");
        grid.vault().set_secret(&object(n), &value).unwrap();
        grid.shop.stand.emulator.reset_calls();
        let began = Instant::now();
        let answer = grid.post(schema, &[grid.created(&format!("e-{n}"), &object(n))]).await;
        assert_eq!(answer.status(), 200, "{schema:?}");
        grid.until(&reference(VAULT, n), &value).await;
        assert!(began.elapsed() < SEEN_WITHIN, "{schema:?}: {:?}", began.elapsed());
        assert_eq!(grid.calls(), [("SecretGet".to_owned(), 1)], "{schema:?}");
    }
    grid.leaves_no_trace();
}

#[tokio::test]
async fn events_that_came_before_and_events_about_nothing_cost_no_call() {
    let grid = Grid::open(5).await;
    let first = grid.created("first", &object(0));
    grid.post(Schema::CloudEvent, std::slice::from_ref(&first)).await;
    grid.until_calls(1).await;
    // Held by nobody, not in the vault, in no vault of ours, and of no interest; and the first one again.
    let mut foreign = grid.created("foreign", &object(0));
    (foreign["source"], foreign["data"]["VaultName"]) = ("/vaults/other".into(), "other".into());
    foreign["data"]["Id"] = "https://other.vault.azure.net/secrets/secret-00000/1".into();
    let mut deleted = grid.created("deleted", &object(0));
    deleted["type"] = "Microsoft.KeyVault.SecretDeleted".into();
    let nothing = [grid.created("unused", &object(7)), grid.created("missing", "missing"), foreign, deleted, first];
    assert_eq!(grid.post(Schema::CloudBatch, &nothing).await.status(), 200);
    // Whoever is looked at after them was looked at in their place.
    grid.post(Schema::CloudEvent, &[grid.created("last", &object(1))]).await;
    grid.until_calls(2).await;
    assert_eq!(grid.calls(), [("SecretGet".to_owned(), 2)]);
    for (outcome, expected) in [("hinted", "4"), ("duplicate", "1"), ("unknown_vault", "1"), ("other", "1")] {
        assert_eq!(grid.counted(outcome).await, expected, "{outcome}");
    }
}

#[tokio::test]
async fn a_storm_of_ten_thousand_events_costs_one_look_a_second() {
    let grid = Grid::open(5).await;
    let began = Instant::now();
    for batch in 0..100 {
        let events: Vec<_> =
            (0..100).map(|n| grid.created(&format!("{batch}-{n}"), &object((batch + n) % 5))).collect();
        assert_eq!(grid.post(Schema::CloudBatch, &events).await.status(), 200);
    }
    assert_eq!(grid.counted("hinted").await, "10000");
    // The last look begins at most a second after the last event, and there is one for the first.
    grid.post(Schema::CloudEvent, &[grid.created("end", &object(0))]).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let looks = began.elapsed().as_secs() + 1;
    let calls: u64 = grid.calls().iter().map(|(_, calls)| calls).sum();
    assert!(calls >= 5 && calls <= looks * 5, "{calls} calls in {looks} s");
}

#[tokio::test]
async fn word_of_access_policies_has_the_whole_vault_compared() {
    let grid = Grid::open(5).await;
    grid.vault().set_secret(&object(3), "kwcanary-found").unwrap();
    let mut event = grid.created("policies", "");
    event["type"] = "Microsoft.KeyVault.VaultAccessPolicyChanged".into();
    grid.post(Schema::EventGrid, &[event]).await;
    grid.until(&reference(VAULT, 3), "kwcanary-found").await;
    assert_eq!(grid.calls(), [("SecretGet".to_owned(), 1), ("SecretList".to_owned(), 1)]);
}

#[tokio::test]
async fn both_handshakes_are_answered_to_who_proves_itself() {
    let grid = Grid::open(0).await;
    let asked = serde_json::json!([{"id": "v-1", "topic": "t", "subject": "", "dataVersion": "2",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6", "validationUrl": grid.url("/never")}}]);
    for proof in [with_key(KEY), grid.with_token(&grid.claims())] {
        let answer = proof(grid.client.post(grid.url("/events"))).json(&asked).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), r#"{"validationResponse":"512d38b6"}"#);
        let options = grid.client.request(reqwest::Method::OPTIONS, grid.url("/events"));
        let options = proof(options).header("WebHook-Request-Origin", "eventgrid.azure.net");
        let answer = options.header("WebHook-Request-Rate", "120").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["webhook-allowed-origin"], "eventgrid.azure.net");
        assert_eq!(answer.headers()["webhook-allowed-rate"], "120");
    }
}
