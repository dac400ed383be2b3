//! A token is worth what its pod carries.

use keyward_tests::api::Resource;
use serde_json::json;
use tonic::Code;

use super::world::{POD, World};

/// Exit codes of the launcher.
const UNSERVABLE: i32 = 76;
const DENIED: i32 = 77;

#[tokio::test]
async fn a_launcher_is_given_what_its_container_carries_for_one_read_of_its_pod() {
    let world = World::start().await;
    world.inject("db");
    let finished = world.launch("app", "db@azurekeyvault").await;
    assert!(finished.status.success() && finished.stdout == "kwcanary-db\n", "{}", finished.stderr);
    assert_eq!(world.reads(), 1);
    assert_eq!(world.audited(1).await, ("OK".into(), json!({"container": "app", "verdict": "granted"})));
    let metrics = world.metrics().await;
    for line in [
        r#"keyward_pod_reads_total{outcome="found"} 1"#,
        r#"keyward_binding_refusals_total{reason="not_carried"} 0"#,
        "keyward_binding_records 1.0",
        "keyward_binding_legacy_total 0",
    ] {
        assert!(metrics.iter().any(|metric| metric == line), "{line} is not among\n{}", metrics.join("\n"));
    }
}

#[tokio::test]
async fn a_config_map_that_was_edited_later_needs_a_new_pod_and_the_launcher_says_so() {
    let world = World::start().await;
    world.inject("db");
    // What the ConfigMap says by now; it was `db` when the pod was created.
    let finished = world.launch("app", "mail@azurekeyvault").await;
    assert_eq!(finished.status.code(), Some(DENIED), "{}", finished.stderr);
    for part in [
        "container app of pod shop/web-1 does not carry mail@azurekeyvault",
        "a ConfigMap that was edited or created later needs a new pod",
    ] {
        assert!(finished.stderr.contains(part), "{part}: {}", finished.stderr);
    }
    assert_eq!(
        world.audited(1).await,
        ("PERMISSION_DENIED".into(), json!({"container": "app", "verdict": "not_carried"}))
    );
    // The new pod.
    world.api.delete(Resource::PODS, "shop", POD);
    world.inject("mail");
    let finished = world.launch("app", "mail@azurekeyvault").await;
    assert!(finished.status.success() && finished.stdout == "kwcanary-mail\n", "{}", finished.stderr);
}

#[tokio::test]
async fn whoever_has_the_token_gets_nothing_else_by_it() {
    let world = World::start().await;
    world.inject("db");
    let nonce = [7; 16];
    for (container, nonce, name, code, says) in [
        ("app", &nonce[..], "mail", Code::PermissionDenied, "does not carry mail@azurekeyvault"),
        ("sidecar", &nonce, "db", Code::PermissionDenied, "container sidecar of pod shop/web-1 does not carry"),
        ("other", &nonce, "db", Code::PermissionDenied, "the pod has no such container"),
        ("", &nonce, "db", Code::FailedPrecondition, "this request names none"),
        ("", &[], "db", Code::FailedPrecondition, "this request names none"),
        ("app", &[], "db", Code::InvalidArgument, "`nonce` has 0 bytes"),
        ("app", &[7; 65], "db", Code::InvalidArgument, "`nonce` has 65 bytes"),
        ("../app", &nonce, "db", Code::InvalidArgument, "`container` is not the name of a container"),
    ] {
        let refused = world.claim(container, nonce, name).await.unwrap_err();
        assert_eq!(refused.code(), code, "{container}: {}", refused.message());
        assert!(refused.message().contains(says), "{container}: {}", refused.message());
    }
    assert_eq!(world.stand.emulator.calls().matching(|call| call.operation == "SecretGet"), 0, "no vault was asked");
    assert!(world.ask(1, "db").await.unwrap() == [b"kwcanary-db"], "and none of it used anything up");
}

#[tokio::test]
async fn a_token_outlives_neither_its_pod_nor_the_pod_s_end() {
    let world = World::start().await;
    world.inject("db");
    assert!(world.ask(1, "db").await.is_ok());
    world.api.edit(Resource::PODS, "shop", POD, |pod| pod["status"] = json!({"phase": "Succeeded"}));
    let ended = world.ask(1, "db").await.unwrap_err();
    assert_eq!(
        (ended.code(), ended.message()),
        (Code::PermissionDenied, "pod shop/web-1 has ended, and its token with it")
    );
    world.api.delete(Resource::PODS, "shop", POD);
    let gone = world.ask(1, "db").await.unwrap_err();
    assert_eq!(
        (gone.code(), gone.message()),
        (Code::PermissionDenied, "pod shop/web-1 is gone, and its token with it")
    );
}

#[tokio::test]
async fn a_pod_from_before_containers_were_named_starts_and_is_counted() {
    let world = World::start().await;
    world.put(&json!([{"name": "app", "env": [{"name": "KEYWARD_REFERENCES", "value": "db"}]}]));
    // A launcher of then sends neither a name nor a nonce; one of now that was put there by hand draws a nonce.
    assert!(world.claim("", &[], "db").await.unwrap() == [b"kwcanary-db"]);
    let finished = world.start_launcher(None, &[("VALUE", "db@azurekeyvault")]).finish().await.unwrap();
    assert!(finished.status.success() && finished.stdout == "kwcanary-db\n", "{}", finished.stderr);
    assert_eq!(world.claim("", &[], "mail").await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(world.audited(2).await, ("OK".into(), json!({"container": null, "verdict": "unnamed"})));
    assert!(world.metrics().await.contains(&"keyward_binding_legacy_total 2".to_owned()));
}

#[tokio::test]
async fn a_launcher_that_lost_its_name_says_what_is_wrong() {
    let world = World::start().await;
    world.inject("db");
    let finished = world.start_launcher(None, &[("VALUE", "db@azurekeyvault")]).finish().await.unwrap();
    assert_eq!(finished.status.code(), Some(UNSERVABLE), "{}", finished.stderr);
    assert!(finished.stderr.contains("the launcher is older than the webhook"), "{}", finished.stderr);
}

#[tokio::test]
async fn without_binding_a_token_is_worth_all_that_its_namespace_may_read() {
    let world = World::with(&[("KEYWARD_POD_BINDING", "off")]).await;
    world.inject("db");
    for nonce in 1..=2 {
        assert!(world.ask(nonce, "mail").await.unwrap() == [b"kwcanary-mail"]);
    }
    assert_eq!(world.reads(), 0);
    assert_eq!(world.audited(1).await, ("OK".into(), json!(null)));
    assert!(!world.metrics().await.iter().any(|line| line.contains("binding")));
}
