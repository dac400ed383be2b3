//! What somebody deletes, edits or leaves lying about.

use super::*;

#[tokio::test]
async fn a_deleted_authority_is_written_again_as_it_was() {
    let mut world = World::settled().await;
    let before = world.server.get(&secret("keyward-ca")).unwrap()["data"].clone();
    world.server.delete(&secret("keyward-ca"));
    world.work().await;
    assert!(world.server.get(&secret("keyward-ca")).unwrap()["data"] == before, "it is another one");
    assert_eq!(world.server.writes().len(), 1);
    assert_eq!(world.server.events(), ["AuthorityMade", "AuthorityRestored"]);
}

#[tokio::test]
async fn an_authority_that_is_lost_with_its_leader_stays_trusted_until_the_next_one_is_known() {
    let mut world = World::settled().await;
    let before = world.server.text("keyward-ca", "active.crt").unwrap();
    let broker = world.server.text("keyward-broker-tls", "tls.crt").unwrap();
    world.server.delete(&secret("keyward-ca"));
    world.replaced();
    world.work().await;
    world.assert_consistent();
    assert_eq!(world.authorities(), ["active.crt", "next.crt", "next.key"]);
    assert_eq!(world.server.text("keyward-ca", "active.crt").unwrap(), before);
    assert_eq!(world.server.text("keyward-broker-tls", "tls.crt").unwrap(), broker);
    world.age(PUBLISHED);
    world.work().await;
    world.assert_consistent();
    assert_ne!(world.server.text("keyward-broker-tls", "tls.crt").unwrap(), broker);
    world.age(REISSUED);
    world.work().await;
    world.assert_consistent();
    assert_eq!(world.authorities(), ["active.crt", "active.key"]);
    let events = world.server.events();
    assert_eq!(events[1..], ["AuthorityLost", "AuthorityActivated", "RotationEnded"]);
}

#[tokio::test]
async fn deleted_certificates_and_edited_bundles_come_back() {
    let mut world = World::settled().await;
    world.server.delete(&secret("keyward-broker-tls"));
    world.server.edit(&secret("keyward-webhook-tls"), |object| object["data"]["ca.crt"] = "QUFB".into());
    world.server.edit(HOOKS, |object| object["webhooks"][1]["clientConfig"]["caBundle"] = "QUFB".into());
    let webhook = world.server.text("keyward-webhook-tls", "tls.crt").unwrap();
    world.work().await;
    world.assert_consistent();
    assert_eq!(world.server.text("keyward-webhook-tls", "tls.crt").unwrap(), webhook);
    assert_eq!(world.server.writes().len(), 3);
}

#[tokio::test]
async fn other_keys_of_a_certificates_secret_stay() {
    let mut world = World::settled().await;
    world.server.edit(&secret("keyward-broker-tls"), |object| {
        object["data"]["more"] = "QUFB".into();
        object["data"]["tls.crt"] = "QUFB".into();
        object["metadata"]["annotations"] = json!({"theirs": "stays"});
    });
    world.work().await;
    world.assert_consistent();
    let object = world.server.get(&secret("keyward-broker-tls")).unwrap();
    assert_eq!(
        (&object["data"]["more"], &object["metadata"]["annotations"]["theirs"]),
        (&json!("QUFB"), &json!("stays"))
    );
}

#[tokio::test]
async fn an_authority_that_cannot_be_used_is_left_as_it_is_and_told_once() {
    let wrong: [fn(&mut Value); 3] = [
        |object| object["data"]["active.crt"] = "a3djYW5hcnk=".into(),
        |object| object["data"]["active.key"] = "a3djYW5hcnk=".into(),
        |object| object["type"] = "kubernetes.io/tls".into(),
    ];
    for edit in wrong {
        let mut world = World::settled().await;
        world.server.edit(&secret("keyward-ca"), edit);
        world.server.delete(&secret("keyward-broker-tls"));
        for _ in 0..3 {
            world.work().await;
        }
        assert_eq!(world.server.writes(), []);
        assert_eq!(world.server.events(), ["AuthorityMade", "AuthorityUnusable"]);
        let said = world.keeper.told.join("\n");
        let whole = "Secret keyward/keyward-ca cannot be used: ";
        assert!(said.starts_with(whole) && said.contains("delete it") && !said.contains("canary"), "{said}");
        assert_eq!(world.keeper.outlets.shown().unwrap().phase, Phase::None);
        // Doing as it says.
        world.server.delete(&secret("keyward-ca"));
        world.work().await;
        world.assert_consistent();
        assert!(world.keeper.told.is_empty());
    }
}

#[tokio::test]
async fn a_secret_of_another_type_is_left_alone_and_told_and_the_others_go_on() {
    let mut world = World::start();
    let theirs = json!({"metadata": {"name": "keyward-broker-tls"}, "type": "Opaque", "data": {"a": "QUFB"}});
    world.server.put(&secret("keyward-broker-tls"), theirs);
    world.work().await;
    assert_eq!(world.server.get(&secret("keyward-broker-tls")).unwrap()["data"], json!({"a": "QUFB"}));
    assert!(world.server.text("keyward-webhook-tls", "tls.crt").is_some());
    let said = world.keeper.told.join("\n");
    assert!(
        said.contains("keyward/keyward-broker-tls is of type Opaque") && said.contains("--broker-secret"),
        "{said}"
    );
}

#[tokio::test]
async fn certificates_of_another_provider_are_taken_over_without_a_break() {
    let mut world = World::start();
    let _ = world.server.writes();
    let before = authority(SystemTime::now(), Duration::from_hours(2_000)).unwrap();
    let wanted = settings().wanted(Leaf::Broker).unwrap().clone();
    let issued = issue::leaf(&before, &wanted.identity, SystemTime::now(), Duration::from_hours(500)).unwrap();
    let bundle = crate::authority::Bundle::of([before.certificate.der()].into_iter());
    let encoded = |content: &SecretBytes| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(content.expose())
    };
    let data = json!({"tls.crt": encoded(&issued.certificate.as_str().into()), "tls.key": encoded(&issued.key),
        "ca.crt": encoded(&bundle.as_str().into())});
    world.server.put(&secret("keyward-broker-tls"), json!({"metadata": {}, "type": "kubernetes.io/tls", "data": data}));
    world.server.put(HOOKS, json!({"metadata": {}, "webhooks": []}));
    world.work().await;
    world.assert_consistent();
    assert_eq!(world.authorities(), ["active.crt", "next.crt", "next.key"]);
    assert_eq!(world.server.text("keyward-broker-tls", "tls.crt").unwrap(), issued.certificate);
}
