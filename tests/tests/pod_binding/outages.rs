//! The API server is gone, or answers what is no pod.

use keyward_tests::{api::Resource, process::Process};
use serde_json::json;
use tonic::Code;

use super::world::{POD, World};

/// Exit code of the launcher.
const UNAVAILABLE: i32 = 69;

#[tokio::test]
async fn a_pod_that_was_seen_a_moment_ago_holds_while_the_api_server_is_gone_and_others_wait() {
    let world = World::start().await;
    world.inject("db");
    assert!(world.ask(1, "db").await.is_ok());
    world.api.down();
    assert!(world.ask(1, "db").await.unwrap() == [b"kwcanary-db"], "a lost reply");
    let refused = world.ask(2, "db").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
    assert_eq!(world.ask(3, "mail").await.unwrap_err().code(), Code::PermissionDenied);
    world.api.up();
    world.show(1, 0);
    assert!(world.ask(2, "db").await.unwrap() == [b"kwcanary-db"]);
}

#[tokio::test]
async fn a_launcher_waits_for_the_api_server_and_starts_its_program_then() {
    let world = World::start().await;
    world.inject("db");
    world.api.down();
    let launcher = world.start_launcher(Some("app"), &[("VALUE", "db@azurekeyvault")]);
    assert_eq!(world.audited(1).await.0, "UNAVAILABLE");
    world.api.up();
    let finished = launcher.finish().await.unwrap();
    assert!(finished.status.success() && finished.stdout == "kwcanary-db\n", "{}", finished.stderr);
}

#[tokio::test]
async fn what_is_no_pod_gives_nothing_and_denies_nothing() {
    let world = World::start().await;
    let metadata = json!({"namespace": "shop", "name": POD, "uid": format!("uid-{POD}")});
    let spec = |env: serde_json::Value| json!({"containers": [{"name": "app", "env": env}]});
    for pod in [
        json!({"metadata": metadata, "spec": "db@azurekeyvault"}),
        json!({"metadata": metadata, "spec": {"containers": [["app"]]}}),
        json!({"metadata": metadata, "spec": spec(json!({"DB": "db@azurekeyvault"}))}),
        json!({"metadata": metadata, "spec": spec(json!([{"name": "DB", "value": ["db@azurekeyvault"]}]))}),
        json!({"metadata": metadata, "spec": spec(json!([])), "status": {"containerStatuses": "running"}}),
    ] {
        world.api.put(Resource::PODS, pod.clone());
        let refused = world.ask(1, "db").await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{pod}: {}", refused.message());
        assert!(refused.message().contains("the API server's answer makes no sense"), "{}", refused.message());
    }
    let environment = [("VALUE", "db@azurekeyvault"), ("KEYWARD_DEADLINE", "500ms")];
    let finished = world.start_launcher(Some("app"), &environment).finish().await.unwrap();
    assert_eq!(finished.status.code(), Some(UNAVAILABLE), "{}", finished.stderr);
}

#[tokio::test]
async fn a_broker_that_may_not_read_pods_says_so_to_whoever_starts() {
    let world = World::start().await;
    world.inject("db");
    world.api.forbid(Resource::PODS);
    let refused = world.ask(1, "db").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("the API server answers 403"), "{}", refused.message());
}

#[tokio::test]
async fn binding_without_an_api_server_does_not_start() {
    let world = World::with(&[("KEYWARD_POD_BINDING", "off")]).await;
    let mut broker = tokio::process::Command::new(world.stand.programs.path("keyward-broker").unwrap());
    let directory = world.stand.directory();
    broker.args(["serve", "--pod-binding", "on", "--source"]).arg(directory.join("manifests"));
    broker.arg("--tls-dir").arg(directory.join("broker-tls"));
    broker.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    broker.env_clear().env("KUBECONFIG", directory.join("none"));
    let ended = Process::spawn("keyward-broker", &mut broker).unwrap().finish().await.unwrap();
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("no API server is known"), "{}", ended.stderr);
}
