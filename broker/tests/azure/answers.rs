//! What a read makes of an answer that is no value.

use std::time::Duration;

use keyward_broker::vault::{ReadError, VaultReader};
use keyward_types::ObjectKind;
use serde_json::json;

use super::{
    server::Answer,
    world::{V1, V2, World, current, object, secret},
};

/// Reads `db` once and expects an error that repeats nothing of the answer.
async fn refusal(world: &World) -> ReadError {
    let error = world.reader().read(&current("db")).await.unwrap_err();
    assert!(!error.to_string().contains("kwcanary") && !format!("{error:?}").contains("kwcanary"));
    error
}

fn malformed(text: &str) -> ReadError {
    ReadError::Malformed(text.to_owned())
}

#[tokio::test]
async fn an_answer_about_another_object_is_refused() {
    for (id, reason) in [
        ("https://HOST/secrets/other/VERSION", "its id is of another object"),
        ("https://HOST/keys/db/VERSION", "its id is of another object"),
        ("https://acme.vault.azure.net/secrets/db/VERSION", "its id is of another vault"),
        ("https://HOST/secrets/db", "its id names no version"),
    ] {
        let world = World::new(move |call| secret(&id.replace("HOST", &call.host).replace("VERSION", V1))).await;
        assert_eq!(refusal(&world).await, malformed(reason), "{id}");
    }
}

#[tokio::test]
async fn an_answer_about_another_version_than_the_pinned_one_is_refused() {
    let world = World::new(|call| secret(&format!("https://{}/secrets/db/{V2}", call.host))).await;
    let error = world.reader().read(&object(ObjectKind::Secret, "db", Some(V1))).await.unwrap_err();
    assert_eq!(error, malformed("its id is of another version"));
}

#[tokio::test]
async fn a_twin_of_another_version_is_refused() {
    let world = World::new(|call| {
        let (collection, version) =
            if call.target.starts_with("/secrets") { ("secrets", V1) } else { ("certificates", V2) };
        let id = format!("https://{}/{collection}/tls/{version}", call.host);
        Answer::json(200, json!({"id": id, "cer": "AQID", "value": "kwcanary"}))
    })
    .await;
    let error = world.reader().read(&object(ObjectKind::Certificate, "tls", None)).await.unwrap_err();
    assert_eq!(error, malformed("its id is of another version"));
}

#[tokio::test]
async fn a_disabled_object_is_disabled_whether_by_attribute_or_by_status() {
    let by_attribute = World::new(|call| {
        let id = format!("https://{}/secrets/db/{V1}", call.host);
        Answer::json(200, json!({"id": id, "value": "kwcanary", "attributes": {"enabled": false}}))
    })
    .await;
    assert_eq!(refusal(&by_attribute).await, ReadError::Disabled);
    for code in ["SecretDisabled", "CertificateDisabled", "KeyDisabled"] {
        assert_eq!(forbidden(code).await, ReadError::Disabled, "{code}");
    }
}

async fn forbidden(inner: &'static str) -> ReadError {
    let body = json!({"error": {"code": "Forbidden", "message": "kwcanary", "innererror": {"code": inner}}});
    refusal(&World::new(move |_| Answer::json(403, &body)).await).await
}

#[tokio::test]
async fn every_refusal_of_the_vault_is_told_apart() {
    for code in ["ForbiddenByPolicy", "ForbiddenByRbac", "ForbiddenByFirewall"] {
        assert_eq!(forbidden(code).await, ReadError::Forbidden(code.to_owned()));
    }
    assert_eq!(forbidden("kwcanary").await, ReadError::Forbidden("other".to_owned()));
    assert_eq!(
        forbidden("ForbiddenByConnection").await,
        ReadError::Unreachable("403 ForbiddenByConnection".to_owned())
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::new(|_| Answer::json(404, json!({"error": {"code": "SecretNotFound"}}))).await;
    assert_eq!(refusal(&world).await, ReadError::NotFound);
}

#[tokio::test]
async fn a_throttled_read_tells_the_pause_and_is_not_repeated() {
    async fn pause(header: Option<&'static str>) -> Option<Duration> {
        let world = World::new(move |_| {
            let headers: Vec<_> = header.map(|value| ("retry-after", value)).into_iter().collect();
            Answer::with(429, &headers, json!({"error": {"code": "Throttled"}}))
        })
        .await;
        let error = refusal(&world).await;
        assert_eq!(world.vault.calls().len(), 2, "the challenge and one read");
        let ReadError::Throttled { retry_after } = error else { panic!("{error}") };
        retry_after
    }
    assert_eq!(pause(None).await, None);
    assert_eq!(pause(Some("7")).await, Some(Duration::from_secs(7)));
    let tomorrow = time::OffsetDateTime::now_utc() + time::Duration::MINUTE;
    let date = azure_core::time::to_rfc7231(&tomorrow).leak();
    let left = pause(Some(date)).await.unwrap().as_secs();
    assert!((30..=60).contains(&left), "{left}");
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_once_and_called_unreachable() {
    for status in [408, 500, 502, 503, 504] {
        let world = World::new(move |_| Answer::json(status, "kwcanary")).await;
        assert_eq!(refusal(&world).await, ReadError::Unreachable(format!("status {status}")));
        assert_eq!(world.vault.calls().len(), 2);
    }
}

#[tokio::test]
async fn what_is_not_key_vault_is_malformed_and_never_quoted() {
    for body in
        ["", "kwcanary", "[\"kwcanary\"]", r#"{"value": ["kwcanary"]}"#, r#"{"attributes": {"exp": "kwcanary"}}"#]
    {
        let world = World::new(move |_| Answer::json(200, body)).await;
        assert!(matches!(refusal(&world).await, ReadError::Malformed(_)), "{body}");
    }
    let no_value =
        World::new(|call| Answer::json(200, json!({"id": format!("https://{}/secrets/db/{V1}", call.host)}))).await;
    assert_eq!(refusal(&no_value).await, malformed("it has no value"));
}
