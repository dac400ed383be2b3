//! What a read sends, and what it makes of a good answer.

use std::sync::Arc;

use keyward_broker::{
    object::{RawBody, RawObject},
    vault::{VaultReader, observe::Operation},
};
use keyward_types::{ObjectKind, ObjectName, ObjectVersion};
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    server::{Answer, Call},
    world::{V1, V2, World, any_secret, current, object, secret},
};

#[tokio::test]
async fn a_secret_costs_one_challenge_one_token_and_one_read() {
    let world = World::new(any_secret).await;
    let read = world.reader().read(&current("Db-Password")).await.unwrap();

    let RawBody::Secret(body) = read.body else { panic!("not a secret") };
    assert!(body.value.expose() == b"kwcanary-value");
    assert_eq!(body.content_type.as_deref(), Some("text/x"));
    assert_eq!(read.version.as_str(), V1);
    let seconds = |time: Option<time::OffsetDateTime>| time.map(time::OffsetDateTime::unix_timestamp);
    let times = [read.attributes.not_before, read.attributes.expires, read.attributes.updated].map(seconds);
    assert_eq!(times, [Some(1_000), Some(2_000), Some(20)]);

    let path = "/secrets/db-password/?api-version=2025-07-01".to_owned();
    assert_eq!(world.vault_calls(), [(path.clone(), None), (path, Some("Bearer token-1".to_owned()))]);
    let told = [(Operation::GetSecret, Some(401)), (Operation::Token, Some(200)), (Operation::GetSecret, Some(200))];
    assert_eq!(world.seen.all(), told);
}

#[tokio::test]
async fn later_reads_cost_one_request_each() {
    let world = World::new(any_secret).await;
    let reader = world.reader();
    for name in ["a", "b", "c"] {
        reader.read(&current(name)).await.unwrap();
    }
    assert_eq!((world.vault.calls().len(), world.entra.calls().len()), (1 + 3, 1));
}

#[tokio::test]
async fn fifty_first_reads_at_once_provoke_one_challenge() {
    let world = World::new(any_secret).await;
    let reader = Arc::new(world.reader());
    let mut reads = JoinSet::new();
    for number in 0..50 {
        let reader = reader.clone();
        reads.spawn(async move { reader.read(&current(&format!("secret-{number}"))).await });
    }
    assert!(reads.join_all().await.iter().all(Result::is_ok));
    let without_token = world.vault.calls().iter().filter(|call| call.authorization.is_none()).count();
    assert_eq!((without_token, world.vault.calls().len(), world.entra.calls().len()), (1, 51, 1));
}

#[tokio::test]
async fn a_first_read_that_finds_nothing_still_ends_the_challenges() {
    let world = World::new(|_| Answer::json(404, json!({"error": {"code": "SecretNotFound"}}))).await;
    let reader = world.reader();
    for _ in 0..2 {
        reader.read(&current("gone")).await.unwrap_err();
    }
    assert_eq!(world.vault.calls().len(), 3);
}

#[tokio::test]
async fn a_pinned_version_is_asked_for_by_its_path() {
    let world = World::new(|call| secret(&format!("https://{}/secrets/db/{V2}", call.host))).await;
    let read = world.reader().read(&object(ObjectKind::Secret, "db", Some(V2))).await.unwrap();
    assert_eq!(read.version.as_str(), V2);
    assert_eq!(world.vault.calls()[1].target, format!("/secrets/db/{V2}?api-version=2025-07-01"));
}

fn certificate_and_twin(call: &Call) -> Answer {
    if call.target.starts_with("/certificates/") {
        let id = format!("https://{}/certificates/tls/{V2}", call.host);
        return Answer::json(200, json!({"id": id, "cer": "AQID", "attributes": {"enabled": true, "updated": 5}}));
    }
    let id = format!("https://{}/secrets/tls/{V2}", call.host);
    Answer::json(200, json!({"id": id, "value": "kwcanary", "contentType": "application/x-pkcs12"}))
}

#[tokio::test]
async fn a_certificate_is_read_with_its_twin_of_the_same_version() {
    let world = World::new(certificate_and_twin).await;
    let RawObject { version, attributes, body, .. } =
        world.reader().read(&object(ObjectKind::Certificate, "tls", None)).await.unwrap();
    let RawBody::Certificate { leaf, twin } = body else { panic!("not a certificate") };
    assert_eq!((version.as_str(), attributes.updated.map(time::OffsetDateTime::unix_timestamp)), (V2, Some(5)));
    assert_eq!((leaf, twin.content_type.as_deref()), (vec![1, 2, 3], Some("application/x-pkcs12")));
    assert!(twin.value.expose() == b"kwcanary");

    let targets: Vec<String> = world.vault.calls().into_iter().map(|call| call.target).collect();
    let (certificate, twin) =
        ("/certificates/tls/?api-version=2025-07-01", format!("/secrets/tls/{V2}?api-version=2025-07-01"));
    assert_eq!(targets, [certificate, certificate, &twin, &twin], "a challenge and a read of each");
    assert_eq!(world.entra.calls().len(), 1, "one sign-in for all clients");
}

#[tokio::test]
async fn a_key_is_read_as_its_public_part() {
    let world = World::new(|call| {
        let kid = format!("https://{}/keys/signing/{V1}", call.host);
        Answer::json(200, json!({"key": {"kty": "RSA", "kid": kid, "n": "AQID", "e": "AQAB"}, "attributes": {}}))
    })
    .await;
    let read = world.reader().read(&object(ObjectKind::Key, "signing", None)).await.unwrap();
    let RawBody::Key(jwk) = read.body else { panic!("not a key") };
    assert_eq!(
        (read.version.as_str(), &jwk["kty"], &jwk["n"], &jwk["e"]),
        (V1, &json!("RSA"), &json!("AQID"), &json!("AQAB"))
    );
}

/// The SDK puts names into the path as they are; what would lead elsewhere can therefore not be written down.
#[test]
fn names_that_would_lead_elsewhere_do_not_exist() {
    for hostile in ["a/../b", "a/b", "..", "a?api-version=1", "a#b", "a%2fb", "a b", "a\r\nb", ""] {
        assert!(ObjectName::new(hostile).is_err(), "{hostile:?}");
        assert!(ObjectVersion::new(hostile).is_err(), "{hostile:?}");
    }
}
