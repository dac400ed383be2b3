//! Objects that change while somebody reads them: through the store of this process, seen over the wire.

use keyward_tests::vault::{Collection, Emulator};
use reqwest::StatusCode;
use serde_json::json;

use super::support::{Raw, empty};

const SECRETS: Collection = Collection::Secrets;

/// `updated` of the one secret in the list.
async fn listed(raw: &Raw) -> Option<i64> {
    raw.get("/secrets").await.body["value"][0]["attributes"]["updated"].as_i64()
}

async fn with_secret() -> (Emulator, Raw, String) {
    let emulator = empty().await;
    emulator.clock().stop_at(1_000);
    let version = emulator.store("acme").unwrap().set_secret("a", "kwcanary-1").unwrap();
    let raw = Raw::new(&emulator, "acme").await;
    (emulator, raw, version)
}

#[tokio::test]
async fn a_new_version_a_switch_and_tags_each_move_updated_by_the_emulators_clock() {
    let (emulator, raw, first) = with_secret().await;
    let store = emulator.store("acme").unwrap();
    let change = |at: i64| {
        emulator.clock().stop_at(at);
        &store
    };
    let second = change(2_000).set_secret("a", "kwcanary-2").unwrap();
    assert_ne!(first, second);
    assert_eq!(listed(&raw).await, Some(2_000));
    change(3_000).set_enabled(SECRETS, "a", false).unwrap();
    assert_eq!(listed(&raw).await, Some(3_000));
    assert_eq!(raw.get("/secrets/a").await.error(), ("Forbidden", Some("SecretDisabled")));
    change(4_000).set_enabled(SECRETS, "a", true).unwrap();
    change(5_000).set_tags(SECRETS, "a", &[("team", "shop")]).unwrap();
    let current = raw.get("/secrets/a").await.body;
    assert_eq!((&current["tags"]["team"], &current["value"]), (&json!("shop"), &json!("kwcanary-2")));
    assert_eq!((&current["attributes"]["created"], &current["attributes"]["updated"]), (&json!(2_000), &json!(5_000)));
}

#[tokio::test]
async fn switching_an_old_version_off_does_not_move_what_the_list_shows() {
    let (emulator, raw, first) = with_secret().await;
    let store = emulator.store("acme").unwrap();
    emulator.clock().stop_at(2_000);
    store.set_secret("a", "kwcanary-2").unwrap();
    emulator.clock().stop_at(3_000);
    store.set_version_enabled(SECRETS, "a", &first, false).unwrap();
    assert_eq!(listed(&raw).await, Some(2_000));
    assert_eq!(raw.get(&format!("/secrets/a/{first}")).await.error(), ("Forbidden", Some("SecretDisabled")));
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
    store.set_version_enabled(SECRETS, "a", &first, true).unwrap();
    assert_eq!(raw.get(&format!("/secrets/a/{first}")).await.body["value"], "kwcanary-1");
    assert!(store.set_version_enabled(SECRETS, "a", "0123", false).is_err());
}

#[tokio::test]
async fn a_deleted_secret_is_gone_until_it_is_recovered_and_for_good_once_purged() {
    let (emulator, raw, _) = with_secret().await;
    let store = emulator.store("acme").unwrap();
    store.delete(SECRETS, "a").unwrap();
    assert_eq!((raw.get("/secrets/a").await.status, listed(&raw).await), (StatusCode::NOT_FOUND, None));
    store.recover(SECRETS, "a").unwrap();
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
    store.delete(SECRETS, "a").unwrap();
    store.purge(SECRETS, "a").unwrap();
    assert!(store.recover(SECRETS, "a").is_err());
    assert_eq!(raw.get("/deletedsecrets/a").await.status, StatusCode::NOT_FOUND);
}
