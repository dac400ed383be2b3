//! Against a scripted API server.

use keyward_tests::api::{ApiServer, Resource};
use serde_json::{Value, json};

use super::*;

const LONG: Duration = Duration::from_secs(30);

/// A client for the server, made as the webhook makes its own.
pub(super) fn cluster(api: &ApiServer, deadline: Duration) -> Cluster {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = kube::Config::new(api.url().parse().unwrap());
    config.default_retry = false;
    Cluster::new(Client::try_from(config).unwrap(), deadline)
}

fn put(api: &ApiServer, name: &str, rest: &Value) {
    let mut object = json!({ "metadata": { "namespace": "shop", "name": name } });
    object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    api.put(Resource::CONFIG_MAPS, object);
}

#[tokio::test]
async fn a_config_map_is_its_data_and_nothing_else() {
    let api = ApiServer::start().await.unwrap();
    put(
        &api,
        "settings",
        &json!({ "data": { "DB": "db@azurekeyvault", "EMPTY": "" }, "binaryData": { "BLOB": "AAAA" } }),
    );
    put(&api, "bare", &json!({}));
    put(&api, "null", &json!({ "data": null }));
    let cluster = cluster(&api, LONG);
    let expected = [("DB", "db@azurekeyvault"), ("EMPTY", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(cluster.config_map("shop", "settings").await, Ok(Some(BTreeMap::from(expected))));
    for empty in ["bare", "null"] {
        assert_eq!(cluster.config_map("shop", empty).await, Ok(Some(BTreeMap::new())));
    }
    for (namespace, name) in [("shop", "other"), ("other", "settings")] {
        assert_eq!(cluster.config_map(namespace, name).await, Ok(None));
    }
}

#[tokio::test]
async fn what_is_no_name_is_never_part_of_a_path() {
    let api = ApiServer::start().await.unwrap();
    api.put(Resource::CORE_SECRETS, json!({ "metadata": { "namespace": "shop", "name": "db" }, "data": {} }));
    let cluster = cluster(&api, LONG);
    for name in ["", "..", "../secrets/db", "%2e%2e/secrets/db", "a?watch=true", "a/b", "A", "a\r\nhost: b", "a b"] {
        assert!(matches!(cluster.config_map("shop", name).await, Err(ReadError::Name(_))), "{name}");
        assert!(matches!(cluster.config_map(name, "settings").await, Err(ReadError::Name(_))), "{name}");
    }
    assert_eq!(api.requests(), []);
    let error = cluster.config_map("shop", "a\nb").await.unwrap_err().to_string();
    assert_eq!(error, r"`a\nb` in namespace `shop` is not the name of a ConfigMap");
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let api = ApiServer::start().await.unwrap();
    api.forbid(Resource::CONFIG_MAPS);
    let error = cluster(&api, LONG).config_map("shop", "settings").await.unwrap_err().to_string();
    let expected = "the webhook may not read ConfigMap shop/settings: its service account lacks the right to `get` \
                    `configmaps` there";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_server_that_keeps_silent_or_is_away_is_told() {
    let api = ApiServer::start().await.unwrap();
    api.hold(Resource::CONFIG_MAPS);
    let error = cluster(&api, Duration::from_millis(100)).config_map("shop", "settings").await.unwrap_err();
    assert!(matches!(error, ReadError::Late { .. }), "{error}");
    api.release();
    api.down();
    let error = cluster(&api, LONG).config_map("shop", "settings").await.unwrap_err();
    assert!(matches!(error, ReadError::Unreachable { .. }), "{error}");
    let nowhere = cluster(&api, LONG);
    drop(api);
    let error = nowhere.config_map("shop", "settings").await.unwrap_err();
    assert!(error.to_string().starts_with("the API server cannot be asked for ConfigMap shop/settings: "), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_no_object_is_refused_and_not_quoted() {
    let api = ApiServer::start().await.unwrap();
    put(&api, "large", &json!({ "data": { "A": "a".repeat(MAX_ANSWER) } }));
    put(&api, "odd", &json!({ "data": "kwcanary-config" }));
    let cluster = cluster(&api, LONG);
    for name in ["large", "odd"] {
        let error = cluster.config_map("shop", name).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the API server's answer about ConfigMap shop/{name} makes no sense"));
    }
}

#[test]
fn what_grows_stays_whole() {
    let mut whole = Zeroizing::new(Vec::new());
    for part in ["", "a", "bc", "defg", "h"] {
        append(&mut whole, part.as_bytes());
    }
    assert_eq!(&**whole, b"abcdefgh");
}

#[test]
fn the_servers_words_are_bounded_and_in_one_line() {
    let said = |message: &str| words(&serde_json::to_vec(&json!({ "message": message })).unwrap());
    assert_eq!(said("a\nb"), r"a\nb");
    assert_eq!(said(&"a".repeat(1_000)).len(), MAX_WORDS);
    assert_eq!(words(b"<html>"), "it gives no reason");
}
