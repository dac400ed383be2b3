//! Lists as a poller meets them: what they show, whom they refuse, and pages that are wrong.

use std::collections::BTreeSet;

use keyward_tests::vault::config::Grant;
use keyward_tests::vault::{Collection, Emulator, PageFault, Rule};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{CLIENT, Raw, emulator};

async fn empty() -> Emulator {
    emulator("vaults: {acme: {}}").await
}

/// An emulator with secrets `secret-00000` and on.
async fn filled(count: usize) -> Emulator {
    let emulator = empty().await;
    emulator.store("acme").unwrap().seed_secrets(count, 64).unwrap();
    emulator
}

/// The last segments of a page's ids.
fn names(page: &Value) -> Vec<String> {
    let ids =
        page["value"].as_array().unwrap().iter().map(|item| item["id"].as_str().or(item["kid"].as_str()).unwrap());
    ids.map(|id| id.rsplit('/').next().unwrap().to_owned()).collect()
}

/// All pages of a list.
async fn walk(raw: &Raw, path: &str) -> Vec<Value> {
    let mut pages = vec![raw.get(path).await.body];
    while let Some(next) = pages.last().unwrap()["nextLink"].as_str().map(str::to_owned) {
        pages.push(raw.send_url(Method::GET, &next, None).await.body);
    }
    pages
}

#[tokio::test]
async fn ten_thousand_secrets_are_made_at_once_and_listed_once_each_in_four_hundred_pages() {
    let emulator = filled(10_000).await;
    let raw = Raw::new(&emulator, "acme").await;
    let pages = walk(&raw, "/secrets").await;
    assert_eq!(pages.len(), 400);
    assert!(pages.iter().all(|page| page["value"].as_array().unwrap().len() == 25));
    let all: BTreeSet<String> = pages.iter().flat_map(names).collect();
    assert_eq!(all.len(), 10_000);
    let value = raw.get("/secrets/secret-09999").await.body["value"].as_str().unwrap().to_owned();
    assert!(value.starts_with("kwcanary-09999-") && value.len() == 64);
}

#[tokio::test]
async fn a_list_shows_the_current_versions_attributes_and_disabled_objects_and_twins() {
    let emulator = emulator("vaults: {acme: {certificates: {web: {}}, keys: {sign: {kty: EC}}}}").await;
    let store = emulator.store("acme").unwrap();
    let raw = Raw::new(&emulator, "acme").await;
    emulator.clock().stop_at(1_000);
    store.set_secret("plain", "kwcanary-1").unwrap();
    emulator.clock().stop_at(2_000);
    store.set_secret("plain", "kwcanary-2").unwrap();
    store.set_secret("off", "kwcanary").unwrap();
    store.set_enabled(Collection::Secrets, "off", false).unwrap();

    let secrets = raw.get("/secrets").await.body;
    assert_eq!(names(&secrets), ["off", "plain", "web"], "ids name no version");
    let [off, plain, web] = &secrets["value"].as_array().unwrap()[..] else { panic!("three secrets") };
    assert_eq!(off["attributes"]["enabled"], false);
    assert_eq!((&plain["attributes"]["created"], &plain["attributes"]["updated"]), (&json!(2_000), &json!(2_000)));
    assert_eq!((&web["managed"], &web["contentType"]), (&json!(true), &json!("application/x-pkcs12")));
    assert!(secrets["value"].as_array().unwrap().iter().all(|item| item.get("value").is_none()));
    let keys = raw.get("/keys").await.body;
    assert_eq!(names(&keys), ["sign", "web"]);
    assert_eq!(keys["value"][1]["managed"], true);
    let certificates = raw.get("/certificates").await.body;
    assert_eq!(names(&certificates), ["web"]);
    assert!(certificates["value"][0]["x5t"].is_string());
}

#[tokio::test]
async fn listing_and_getting_are_rights_of_their_own() {
    let emulator = emulator("vaults: {acme: {secrets: {a: {value: kwcanary}}, keys: {a: {kty: EC}}}}").await;
    let raw = Raw::new(&emulator, "acme").await;
    let grant = |operations: &[&str]| {
        let operations = operations.iter().map(|operation| (*operation).to_owned()).collect();
        emulator.identities().set_access(CLIENT, Some(&[Grant { vault: None, operations }]));
    };
    let status = async |path: &str| raw.get(path).await.status.as_u16();
    for (granted, get, list, other) in [
        (vec!["SecretGet"], 200, 403, 403),
        (vec!["SecretList"], 403, 200, 403),
        (vec!["SecretGet", "SecretList", "KeyList"], 200, 200, 200),
    ] {
        grant(&granted);
        let got = (status("/secrets/a").await, status("/secrets").await, status("/keys").await);
        assert_eq!(got, (get, list, other), "{granted:?}");
    }
    grant(&["SecretGet"]);
    assert_eq!(raw.get("/secrets").await.error(), ("Forbidden", Some("ForbiddenByRbac")));
}

#[tokio::test]
async fn a_torn_page_lacks_items_that_are_there() {
    let torn = async |seed| {
        let emulator = filled(20).await;
        let raw = Raw::new(&emulator, "acme").await;
        emulator.faults().arm(Rule::page(1, PageFault::Torn { share: 0.4 }).seed(seed)).unwrap();
        raw.get("/secrets/secret-00001").await;
        let page = names(&raw.get("/secrets").await.body);
        assert_eq!(names(&raw.get("/secrets").await.body).len(), 20, "the next list is whole");
        page
    };
    let first = torn(3).await;
    assert!((1..20).contains(&first.len()), "{first:?}");
    assert_eq!(first, torn(3).await);
    assert_ne!(first, torn(4).await);
}

#[tokio::test]
async fn a_cut_listing_ends_where_items_follow() {
    let emulator = filled(60).await;
    let raw = Raw::new(&emulator, "acme").await;
    emulator.faults().arm(Rule::page(1, PageFault::Cut).operation("SecretList")).unwrap();
    assert_eq!(walk(&raw, "/secrets").await.len(), 1);
    assert_eq!(walk(&raw, "/secrets").await.len(), 3);
}

#[tokio::test]
async fn a_repeated_next_link_leads_to_the_page_that_has_it() {
    let emulator = filled(60).await;
    let raw = Raw::new(&emulator, "acme").await;
    let second = raw.get("/secrets").await.body["nextLink"].as_str().unwrap().to_owned();
    let id = emulator.faults().arm(Rule::page(1, PageFault::RepeatNextLink).until_lifted()).unwrap();
    let page = raw.send_url(Method::GET, &second, None).await.body;
    assert_eq!(page["nextLink"], second.as_str());
    let first = raw.get("/secrets").await.body;
    let again = raw.send_url(Method::GET, first["nextLink"].as_str().unwrap(), None).await.body;
    assert_eq!(again, first, "however often it is followed");
    assert_eq!(emulator.faults().struck(id), Some(3));
}

#[tokio::test]
async fn a_foreign_next_link_leads_to_another_origin() {
    let emulator = filled(60).await;
    let raw = Raw::new(&emulator, "acme").await;
    let origin = "https://elsewhere.example:443".to_owned();
    let honest = raw.get("/secrets").await.body["nextLink"].as_str().unwrap().to_owned();
    emulator.faults().arm(Rule::page(1, PageFault::ForeignNextLink { origin: origin.clone() })).unwrap();
    let foreign = raw.get("/secrets").await.body["nextLink"].as_str().unwrap().to_owned();
    assert_eq!(foreign, honest.replace(&emulator.vault_url("acme"), &origin));
}

#[tokio::test]
async fn a_stale_page_shows_each_item_as_it_was_before_it_changed() {
    let emulator = empty().await;
    let store = emulator.store("acme").unwrap();
    let raw = Raw::new(&emulator, "acme").await;
    emulator.clock().stop_at(1_000);
    for name in ["deleted", "disabled", "same", "set"] {
        store.set_secret(name, "kwcanary-1").unwrap();
    }
    let before = raw.get("/secrets").await.body;
    emulator.clock().stop_at(2_000);
    store.set_secret("set", "kwcanary-2").unwrap();
    store.set_enabled(Collection::Secrets, "disabled", false).unwrap();
    store.delete(Collection::Secrets, "deleted").unwrap();
    emulator.faults().arm(Rule::page(1, PageFault::Stale)).unwrap();
    assert_eq!(raw.get("/secrets").await.body, before);
    let now = raw.get("/secrets").await.body;
    assert_eq!(names(&now), ["disabled", "same", "set"]);
    let updated: Vec<i64> =
        now["value"].as_array().unwrap().iter().map(|item| item["attributes"]["updated"].as_i64().unwrap()).collect();
    assert_eq!(updated, [2_000, 1_000, 2_000]);
    assert_eq!(raw.get("/secrets/deleted").await.status, StatusCode::NOT_FOUND);
}
