//! Objects that are there and cannot be served.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use keyward_tests::vault::Rule;

use super::support::{VAULT, launch, secret, secret_of, shop_token, stand};

const ODD: &str = r#"
vaults:
  acme:
    secrets:
      switched-off: {value: kwcanary-off, enabled: false}
      list: {value: '["kwcanary-list"]'}
      nested: {value: '{"a": {"b": "kwcanary-nested"}}'}
      broken: {value: '{"kwcanary-broken": '}
      nul: {value: "kwcanary\u0000nul"}
      plain: {value: kwcanary-plain}
      due: {value: kwcanary-due, exp: 1000000000}
    certificates:
      locked: {subject: CN=locked, keyType: ec-p256, exportable: false}
      garbage: {subject: CN=garbage}
      unsealed: {subject: CN=unsealed}
identities:
  - clientId: 22222222-2222-2222-2222-222222222222
    federatedSubjects: ["system:serviceaccount:keyward:keyward-broker"]
"#;

/// A PFX that anybody could have altered: the broker's own fixture.
const WITHOUT_MAC: &[u8] = include_bytes!("../../../broker/src/render/fixtures/no-mac.pfx");

#[tokio::test]
async fn each_is_refused_with_its_reason_and_without_its_value() {
    let json = "type: multi-key-value-secret, contentType: application/x-json";
    let map = |name: &str| secret_of("shop", name, "acme", name, json);
    let manifests = [
        VAULT.to_owned(),
        secret("shop", "switched-off", "secret"),
        secret("shop", "gone", "secret"),
        map("list"),
        map("nested"),
        map("broken"),
        secret("shop", "nul", "secret"),
        secret("shop", "plain", "secret"),
        secret("shop", "locked", "certificate"),
        secret("shop", "garbage", "certificate"),
        secret("shop", "unsealed", "certificate"),
    ]
    .concat();
    let stand = stand(ODD, &manifests).await;
    let store = stand.emulator.store("acme").unwrap();
    store.overwrite_secret("garbage", &BASE64_STANDARD.encode("kwcanary, no PFX")).unwrap();
    store.overwrite_secret("unsealed", &BASE64_STANDARD.encode(WITHOUT_MAC)).unwrap();
    for (reference, code, because) in [
        ("switched-off@azurekeyvault", 76, "disabled"),
        ("gone@azurekeyvault", 66, "no such object"),
        ("list@azurekeyvault?a", 76, "map"),
        ("nested@azurekeyvault?a", 76, "nested"),
        ("broken@azurekeyvault?a", 76, "JSON"),
        ("nul@azurekeyvault", 65, "NUL"),
        ("plain@azurekeyvault?other", 76, "username"),
        ("locked@azurekeyvault?tls.key", 76, "export"),
        ("garbage@azurekeyvault", 76, "PKCS#12"),
        ("unsealed@azurekeyvault", 76, "MAC"),
    ] {
        let finished = launch(&stand, &shop_token(), reference).await;
        assert_eq!(finished.status.code(), Some(code), "{reference}: {}", finished.stderr);
        assert!(finished.stderr.contains(because), "{reference}: {}", finished.stderr);
        assert_eq!(finished.stderr.lines().count(), 1, "{reference}: {}", finished.stderr);
        assert!(finished.stdout.is_empty(), "{reference}: the program must not have run");
    }
    let finished = launch(&stand, &shop_token(), "locked@azurekeyvault").await;
    assert!(finished.status.success(), "the public part may be had: {}", finished.stderr);
}

#[tokio::test]
async fn an_expired_object_is_served_as_key_vault_does_and_shown_as_expired() {
    let stand = stand(ODD, &[VAULT.to_owned(), secret("shop", "due", "secret")].concat()).await;
    let finished = launch(&stand, &shop_token(), "due@azurekeyvault").await;
    assert!(finished.status.success() && finished.stdout == "kwcanary-due\n", "{}", finished.stderr);
    let status = stand.status(&[]).unwrap().output().await.unwrap();
    assert!(String::from_utf8(status.stdout).unwrap().contains("2001-09-09T01:46:40Z"));
}

#[tokio::test]
async fn a_throttled_vault_is_asked_again_by_the_launcher_and_then_the_program_starts() {
    let stand = stand(ODD, &[VAULT.to_owned(), secret("shop", "plain", "secret")].concat()).await;
    stand.emulator.faults().arm(Rule::throttle(1, Some(1)).vault("acme")).unwrap();
    let finished = launch(&stand, &shop_token(), "plain@azurekeyvault").await;
    assert!(finished.status.success() && finished.stdout == "kwcanary-plain\n", "{}", finished.stderr);
}

#[tokio::test]
async fn a_vault_that_refuses_the_broker_is_named_and_not_asked_again_and_again() {
    let stand = stand(ODD, &[VAULT.to_owned(), secret("shop", "plain", "secret")].concat()).await;
    stand.emulator.faults().arm(Rule::forbid(9, "ForbiddenByRbac").vault("acme")).unwrap();
    let finished = launch(&stand, &shop_token(), "plain@azurekeyvault").await;
    assert_eq!(finished.status.code(), Some(76), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("ForbiddenByRbac") && finished.stderr.contains("grant it `get`"),
        "{}",
        finished.stderr
    );
}
