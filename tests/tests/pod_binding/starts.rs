//! A container is given its values once for each of its starts.

use keyward_tests::vault::Rule;
use serde_json::json;
use tonic::Code;

use super::world::World;

#[tokio::test]
async fn a_token_that_is_used_again_after_its_container_started_is_refused() {
    let world = World::start().await;
    world.inject("db");
    let finished = world.launch("app", "db@azurekeyvault").await;
    assert!(finished.status.success(), "{}", finished.stderr);
    world.show(0, 0);
    // Somebody who took the token out of the container.
    let refused = world.ask(1, "db").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
    assert!(refused.message().contains("was given its values when it started"), "{}", refused.message());
    assert!(refused.metadata().contains_key(keyward_proto::RETRY_AFTER_METADATA));
    assert_eq!(
        world.audited(2).await,
        ("UNAVAILABLE".into(), json!({"container": "app", "verdict": "restart_unseen"}))
    );
    let counted = r#"keyward_binding_refusals_total{reason="restart_unseen"} 1"#;
    assert!(world.metrics().await.iter().any(|line| line == counted));
}

#[tokio::test]
async fn a_lost_reply_is_given_again_to_the_same_process_alone() {
    let world = World::start().await;
    world.inject("db");
    for _ in 0..3 {
        assert!(world.ask(1, "db").await.unwrap() == [b"kwcanary-db"]);
    }
    assert_eq!(world.audited(3).await, ("OK".into(), json!({"container": "app", "verdict": "repeated"})));
    assert_eq!(world.ask(2, "db").await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_container_that_is_started_again_is_given_its_values_once_that_shows() {
    let world = World::start().await;
    world.inject("db");
    assert!(world.launch("app", "db@azurekeyvault").await.status.success());
    world.show(0, 0);
    for restarts in 1..=2 {
        let launcher = world.start_launcher(Some("app"), &[("VALUE", "db@azurekeyvault")]);
        // It was looked at, and looked at again: the status lags.
        let seen = world.reads() + 2;
        let looked = |api: &keyward_tests::api::ApiServer| {
            api.requests().iter().filter(|asked| asked.uri.contains("/pods/")).count() >= seen
        };
        world.api.until(looked).await;
        world.show(restarts, 0);
        let finished = launcher.finish().await.unwrap();
        assert!(finished.status.success() && finished.stdout == "kwcanary-db\n", "{}", finished.stderr);
    }
    assert_eq!(world.audited(3).await, ("OK".into(), json!({"container": "app", "verdict": "restarted"})));
}

#[tokio::test]
async fn a_vault_that_is_down_uses_nothing_up() {
    let world = World::start().await;
    world.inject("db");
    let outage = world.stand.emulator.faults().arm(Rule::unavailable("acme")).unwrap();
    for _ in 0..2 {
        assert_eq!(world.ask(1, "db").await.unwrap_err().code(), Code::Unavailable);
    }
    assert_eq!(world.audited(1).await, ("UNAVAILABLE".into(), json!({"container": "app", "verdict": "carried"})));
    let launcher = world.start_launcher(Some("app"), &[("VALUE", "db@azurekeyvault")]);
    world.audited(3).await;
    world.stand.emulator.faults().lift(outage);
    let finished = launcher.finish().await.unwrap();
    assert!(finished.status.success() && finished.stdout == "kwcanary-db\n", "{}", finished.stderr);
    assert!(world.metrics().await.contains(&"keyward_binding_records 1.0".to_owned()));
}

#[tokio::test]
async fn a_container_that_began_before_the_broker_did_is_given_its_values_and_counted() {
    let world = World::start().await;
    world.inject("db");
    world.show(0, 600);
    assert!(world.ask(1, "db").await.is_ok());
    assert_eq!(world.audited(1).await.1["verdict"], "unrecorded");
    assert!(world.metrics().await.contains(&"keyward_binding_unrecorded_total 1".to_owned()));
    assert_eq!(world.ask(2, "db").await.unwrap_err().code(), Code::Unavailable, "and now it is on record");
}

#[tokio::test]
async fn a_container_that_has_long_been_running_is_given_nothing_by_a_broker_without_records() {
    let world = World::start().await;
    world.inject("db");
    world.show(0, 2 * 3_600);
    // A pod that is as old as its container, and not made just now.
    assert_eq!(world.ask(1, "db").await.unwrap_err().code(), Code::Unavailable);
    world.show(1, 0);
    assert!(world.ask(2, "db").await.unwrap() == [b"kwcanary-db"]);
}
