//! `keyward-broker refresh` and `explain`, as people run them.

use std::process::Output;

use keyward_tests::{stand::Stand, vault::ProjectedToken};

use super::support::{channel, resolve, secret, shop, token};

async fn run(stand: &Stand, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = stand.operator(arguments).unwrap().output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(stdout), text(stderr));
    assert!(!stdout.contains("kwcanary") && !stderr.contains("kwcanary"), "a value was printed");
    (status.code(), stdout, stderr)
}

#[tokio::test]
async fn explain_prints_each_gate_and_ends_with_what_they_add_up_to() {
    let other = secret("db", "db", "", "").replace("namespace: shop", "namespace: bank");
    let stand = shop(&[secret("db", "db", "", ""), other].concat()).await;
    let (code, shown, _) = run(&stand, &["explain", "--namespace", "shop", "db@azurekeyvault"]).await;
    assert_eq!(code, Some(0), "{shown}");
    let gates: Vec<_> = shown.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(gates, ["token", "namespace", "secret", "policy", "object", "version", "cache"]);
    assert!(shown.contains("not held; the next Resolve reads it"), "{shown}");
    assert_eq!(stand.emulator.calls().matching(|_| true), 0, "explaining asks no vault");

    let (code, shown, _) = run(&stand, &["explain", "--namespace", "bank", "db@azurekeyvault"]).await;
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("policy     closed   AzureKeyVaultSecret bank/db"), "{shown}");
    assert!(shown.contains("cache      skipped"), "{shown}");

    for arguments in [&["explain", "--namespace", "shop", "db"][..], &["explain", "db@azurekeyvault"]] {
        assert_eq!(run(&stand, arguments).await.0, Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn explain_takes_a_token_and_tells_what_is_held() {
    use keyward_proto::v1::secrets_client::SecretsClient;
    let stand = shop(&secret("db", "db", "", "")).await;
    let mut client = SecretsClient::new(channel(&stand, None).await);
    client.resolve(resolve(&token(&stand, "checkout-1"), &["db"])).await.unwrap();
    let pods = stand.write_token(&ProjectedToken::for_pod("shop", "checkout", "checkout-1")).unwrap();
    let (code, shown, _) =
        run(&stand, &["explain", "--token-file", pods.to_str().unwrap(), "db@azurekeyvault", "-o", "json"]).await;
    assert_eq!(code, Some(0), "{shown}");
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["gates"][0]["detail"], "pod shop/checkout-1, service account checkout");
    assert!(shown["gates"][6]["detail"].as_str().unwrap().starts_with("held: version "), "{shown}");

    let unbound = stand.write_token(&ProjectedToken::unbound("shop", "checkout")).unwrap();
    let (code, shown, _) =
        run(&stand, &["explain", "--token-file", unbound.to_str().unwrap(), "db@azurekeyvault"]).await;
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("token      closed   the token is bound to no pod"), "{shown}");
}

#[tokio::test]
async fn refresh_names_a_vault_that_nobody_declares() {
    let stand = shop("").await;
    for vault in [&["refresh"][..], &["refresh", "acme"]] {
        let (code, shown, said) = run(&stand, vault).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(shown.starts_with("VAULT"), "{shown}");
    }
    let (code, _, said) = run(&stand, &["refresh", "nowhere"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("no AzureKeyVault declares a vault `nowhere`"), "{said}");
}
