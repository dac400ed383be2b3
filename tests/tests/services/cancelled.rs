//! A caller who goes away leaves its line all the same.

use std::time::Duration;

use keyward_proto::v1::secrets_client::SecretsClient;
use keyward_tests::vault::{Fault, Rule};

use super::support::{audited, channel, resolve, secret, shop, token};

#[tokio::test]
async fn a_caller_who_goes_away_is_written_down_with_what_it_asked() {
    let stand = shop(&secret("db", "db", "", "")).await;
    let gate = stand.emulator.faults().gate("held");
    stand.emulator.faults().arm(Rule::next(1, Fault::Hold { gate: "held".into() }).vault("acme")).unwrap();
    let mut client = SecretsClient::new(channel(&stand, None).await);
    let request = resolve(&token(&stand, "checkout-1"), &["db", "db"]);
    tokio::select! {
        _ = client.resolve(request) => panic!("the vault is held"),
        () = gate.arrived(1) => {}
    }
    let line = audited(&stand, 1, "resolve").await;
    assert_eq!((&line["code"], &line["caller"]["pod"]), (&"CANCELLED".into(), &"checkout-1".into()), "{line}");
    assert_eq!(line["objects"].as_array().unwrap().len(), 1, "{line}");
    assert_eq!(line["objects"][0]["reference"], "db@azurekeyvault");
    gate.release();
    client.resolve(resolve(&token(&stand, "checkout-1"), &["db"])).await.unwrap();
    assert_eq!(audited(&stand, 2, "resolve").await["code"], "OK");
}

#[tokio::test]
async fn a_callers_own_deadline_is_kept_and_written_down() {
    let stand = shop(&secret("db", "db", "", "")).await;
    let gate = stand.emulator.faults().gate("held");
    stand.emulator.faults().arm(Rule::next(1, Fault::Hold { gate: "held".into() }).vault("acme")).unwrap();
    let mut client = SecretsClient::new(channel(&stand, None).await);
    let mut request = resolve(&token(&stand, "checkout-1"), &["db"]);
    request.set_timeout(Duration::from_millis(200));
    client.resolve(request).await.unwrap_err();
    let line = audited(&stand, 1, "resolve").await;
    assert_eq!((&line["code"], &line["caller"]["pod"]), (&"CANCELLED".into(), &"checkout-1".into()), "{line}");
    gate.release();
}
