//! Objects that somebody deletes or edits.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_tests::{
    api::Resource,
    ca::TestCa,
    rotation::{
        scene::{AUTHORITY, INJECTED, NAMESPACE, TLS_SECRETS, configuration, set_bundle},
        served::{Rotations, Server},
        stand::Slots,
    },
};
use serde_json::Value;

use super::support::{LONG, Loaded};

const CONTROLLER: &str = "keyward-controller-0";

fn authority(loaded: &Loaded) -> Option<Value> {
    loaded.stand.secret(AUTHORITY).map(|secret| secret["data"].clone())
}

#[tokio::test]
async fn a_deleted_authority_comes_back_as_it_was_also_in_the_middle_of_a_rotation() {
    let loaded = Loaded::with_controllers(&[CONTROLLER]).await;
    for slots in [Slots::Settled, Slots::Prepared, Slots::Retiring] {
        loaded.until_slots(slots).await;
        let before = authority(&loaded).unwrap();
        loaded.stand.api.delete(Resource::CORE_SECRETS, NAMESPACE, AUTHORITY);
        loaded.until("it is back", |loaded| authority(loaded).is_some()).await;
        // Not by value into a message: a key is in it.
        assert!(authority(&loaded) == Some(before), "another authority than before, {slots:?}");
        if slots == Slots::Settled {
            loaded.stand.ask_for_rotation();
        }
    }
    loaded.until_slots(Slots::Settled).await;
    let report = loaded.without_failure().await;
    for server in Server::ALL {
        assert_eq!(report.rotations[&server], Rotations { authorities: 1, leaves: 1 }, "{report}");
    }
}

#[tokio::test]
async fn an_authority_that_nobody_remembers_is_followed_by_another_and_no_call_fails() {
    let mut loaded = Loaded::with_controllers(&[CONTROLLER]).await;
    loaded.until_slots(Slots::Settled).await;
    loaded.stand.kill(CONTROLLER).await.unwrap();
    loaded.stand.api.delete(Resource::CORE_SECRETS, NAMESPACE, AUTHORITY);
    loaded.go_on().await;
    loaded.stand.controller("keyward-controller-1", LONG).unwrap();
    loaded.until("servers show the other", |loaded| loaded.load.served.total().authorities == 1).await;
    loaded.until_slots(Slots::Settled).await;
    loaded.go_on().await;
    let mut report = loaded.stand.report(loaded.load).await.unwrap();
    // The new controller's own certificate is the new authority's from the start: nothing else is left that could sign it.
    // Until the broker trusts that, it cannot be asked.
    report.handshakes.remove(&Server::Broker);
    assert_eq!(report.failures(), 0, "{report}");
}

#[tokio::test]
async fn what_is_published_and_servers_certificates_come_back() {
    let loaded = Loaded::with_controllers(&[CONTROLLER]).await;
    for namespace in [INJECTED, NAMESPACE] {
        let get = |loaded: &Loaded| loaded.stand.api.get(Resource::CONFIG_MAPS, namespace, AUTHORITY);
        loaded.until("it is published", |loaded| get(loaded).is_some()).await;
        let before = get(&loaded).unwrap()["data"].clone();
        loaded.stand.api.delete(Resource::CONFIG_MAPS, namespace, AUTHORITY);
        loaded.until("the ConfigMap is back", |loaded| get(loaded).is_some()).await;
        assert_eq!(get(&loaded).unwrap()["data"], before);
        loaded.stand.api.edit(Resource::CONFIG_MAPS, namespace, AUTHORITY, |object| {
            let text = object["data"]["ca.crt"].as_str().unwrap().to_owned();
            object["data"]["ca.crt"] = (text + &TestCa::new("somebody").unwrap().cert_pem()).into();
        });
        loaded.until("the ConfigMap is as it was", |loaded| get(loaded).is_some_and(|it| it["data"] == before)).await;
    }
    let bundle = |loaded: &Loaded| {
        let configuration = configuration(&loaded.stand.api).unwrap();
        configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap().to_owned()
    };
    let before = bundle(&loaded);
    // Somebody adds what is not ours; whoever is trusted already still is.
    let text = String::from_utf8(STANDARD.decode(&before).unwrap()).unwrap();
    set_bundle(&loaded.stand.api, &STANDARD.encode(text + &TestCa::new("somebody").unwrap().cert_pem()));
    loaded.until("the caBundle is as it was", |loaded| bundle(loaded) == before).await;

    for name in TLS_SECRETS {
        loaded.stand.api.delete(Resource::CORE_SECRETS, NAMESPACE, name);
        loaded.until("the certificate is back", |loaded| loaded.stand.secret(name).is_some()).await;
    }
    loaded.until("it is shown", |loaded| loaded.load.served.total().leaves == 2).await;
    let report = loaded.without_failure().await;
    assert!(report.rotations.values().all(|rotations| rotations.authorities == 0), "{report}");
}
