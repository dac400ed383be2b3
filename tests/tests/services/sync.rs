//! What the controller is given.

use keyward_proto::v1::{FetchRequest, SecretChanged, WatchRequest, sync_client::SyncClient, watch_response::Event};
use keyward_tests::stand::Stand;
use tonic::{Code, transport::Channel};

use super::support::{VAULT, audited, channel, secret, shop};

const OUTPUT: &str =
    ", output: {secret: {name: out, type: kubernetes.io/basic-auth}, configMap: {name: out, dataKey: whole}}";

async fn controller(stand: &Stand) -> SyncClient<Channel> {
    SyncClient::new(channel(stand, Some("controller")).await)
}

fn fetch(name: &str, uid: &str, generation: i64) -> FetchRequest {
    FetchRequest { namespace: "shop".into(), name: name.into(), uid: uid.into(), generation }
}

#[tokio::test]
async fn a_fetch_brings_the_rendered_data_and_leaves_one_line() {
    let stand = shop(&secret("login", "login", ", uid: u-1, generation: 2", OUTPUT)).await;
    let answer = controller(&stand).await.fetch(fetch("login", "u-1", 2)).await.unwrap().into_inner();
    let data = answer.secret.unwrap();
    assert!(data.r#type == "kubernetes.io/basic-auth" && data.data["username"] == b"kwcanary-user");
    assert!(data.data["password"] == b"kwcanary-password" && data.data.len() == 2);
    assert!(answer.config_map.unwrap().data["whole"] == "kwcanary-user:kwcanary-password");
    assert_eq!((answer.version.len(), answer.generation, answer.stale_ms), (32, 2, 0));

    let line = audited(&stand, 1, "fetch").await;
    assert_eq!((&line["code"], &line["role"]), (&"OK".into(), &"controller".into()));
    assert_eq!((&line["namespace"], &line["name"], &line["uid"]), (&"shop".into(), &"login".into(), &"u-1".into()));
    assert_eq!((&line["object"], &line["version"]), (&"secret/login".into(), &answer.version.into()));
}

#[tokio::test]
async fn each_refusal_has_its_code_and_its_line_and_no_read() {
    let manifests = [
        secret("login", "login", ", uid: u-1, generation: 2", OUTPUT),
        secret("bare", "db", "", ""),
        secret("odd", "a/b", "", OUTPUT),
        secret("other", "db", "", OUTPUT).replace("namespace: shop", "namespace: bank"),
    ];
    let stand = shop(&manifests.concat()).await;
    let mut client = controller(&stand).await;
    let mut lines = 0;
    for (request, code) in [
        (fetch("login", "u-2", 1), Code::Unavailable),
        (fetch("login", "u-1", 3), Code::Unavailable),
        (fetch("none", "u-1", 1), Code::Unavailable),
        (fetch("none", "", 0), Code::NotFound),
        (fetch("bare", "", 0), Code::FailedPrecondition),
        (fetch("odd", "", 0), Code::FailedPrecondition),
        (FetchRequest { namespace: "bank".into(), ..fetch("other", "", 0) }, Code::PermissionDenied),
    ] {
        let name = request.name.clone();
        let refused = client.fetch(request).await.unwrap_err();
        assert_eq!(refused.code(), code, "{name}: {}", refused.message());
        let wait = refused.metadata().contains_key(keyward_proto::RETRY_AFTER_METADATA);
        assert_eq!(wait, code == Code::Unavailable, "{name}");
        lines += 1;
        let line = audited(&stand, lines, "fetch").await;
        assert!(line["code"] != "OK" && line["name"] == name && line["error"] == refused.message(), "{line}");
    }
    for request in [fetch("NO NAME", "", 0), FetchRequest { namespace: String::new(), ..fetch("login", "", 0) }] {
        assert_eq!(client.fetch(request).await.unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(stand.emulator.calls().matching(|call| call.vault == "acme"), 0);
}

#[tokio::test]
async fn a_watch_begins_with_resync_hears_of_declarations_and_ends_with_the_broker() {
    let stand = shop(&secret("login", "login", "", OUTPUT)).await;
    let mut watch = controller(&stand).await.watch(WatchRequest {}).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap().event;
    assert!(matches!(first, Some(Event::Resync(_))), "{first:?}");
    stand.write_manifest("all.yaml", &format!("{VAULT}{}", secret("db", "db", "", OUTPUT))).unwrap();
    let next = watch.message().await.unwrap().unwrap().event;
    assert!(!matches!(next, None | Some(Event::Changed(SecretChanged { .. }))), "{next:?}");

    let ended = stand.broker.stop().await.unwrap();
    assert!(ended.status.success(), "an open watch held up the end: {}", ended.stderr);
    assert_eq!(watch.message().await.unwrap_err().code(), Code::Unavailable);
}
