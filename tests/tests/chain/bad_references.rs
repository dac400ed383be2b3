//! References that must be refused, each for its own reason and with its own exit code.

use keyward_tests::vault::{CallCount, ProjectedToken};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::support::{VAULT, launch, resolve, secret, secret_of, shop, shop_token, stand, value};

#[tokio::test]
async fn another_namespaces_secret_does_not_exist_for_this_one() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    let token = ProjectedToken::for_pod("bank", "teller", "teller-1");
    let finished = launch(&stand, &token, "db-password@azurekeyvault").await;
    assert_eq!(finished.status.code(), Some(66), "{}", finished.stderr);
    assert!(finished.stderr.contains("AzureKeyVaultSecret bank/db-password does not exist"), "{}", finished.stderr);
}

#[tokio::test]
async fn an_unknown_secret_is_named_in_message_and_details() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    let token = stand.emulator.projected_token(&shop_token()).unwrap();
    let status = resolve(&stand, Some(&token), &["db-password", "missing"]).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().starts_with("missing@azurekeyvault: AzureKeyVaultSecret shop/missing does not exist"));
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("SECRET_UNKNOWN", "keyward.dev"));
    assert_eq!(info.metadata["reference"], "missing@azurekeyvault");
}

#[tokio::test]
async fn a_vault_that_does_not_admit_the_namespace_is_not_asked() {
    let manifests = [
        secret("bank", "db-password", "secret"),
        secret_of("shop", "stray", "undeclared", "db-password", "type: secret"),
    ]
    .concat();
    let stand = shop(&manifests).await;
    let bank = ProjectedToken::for_pod("bank", "teller", "teller-1");
    for (token, reference, because) in [
        (bank, "db-password@azurekeyvault", "AzureKeyVault `acme` does not admit namespace `bank`"),
        (shop_token(), "stray@azurekeyvault", "no AzureKeyVault declares vault `undeclared`"),
    ] {
        let finished = launch(&stand, &token, reference).await;
        assert_eq!(finished.status.code(), Some(77), "{}", finished.stderr);
        assert!(finished.stderr.contains(because), "{}", finished.stderr);
    }
    assert_eq!(stand.emulator.calls().matching(|call: &CallCount| call.vault == "acme"), 0);
}

#[tokio::test]
async fn cached_values_open_nothing_to_those_not_admitted() {
    let manifests = [secret("shop", "db-password", "secret"), secret("bank", "db-password", "secret")].concat();
    let stand = shop(&manifests).await;
    assert!(value(&stand, "db-password@azurekeyvault").await == "kwcanary-db-1");
    let bank = stand.emulator.projected_token(&ProjectedToken::for_pod("bank", "teller", "teller-1")).unwrap();
    let status = resolve(&stand, Some(&bank), &["db-password"]).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn names_in_any_case_are_one_vault_and_one_object() {
    let manifests = [
        secret_of("shop", "one", "ACME", "DB-Password", "type: secret"),
        secret_of("shop", "two", "Acme", "db-password", "type: secret"),
    ]
    .concat();
    let stand = shop(&manifests).await;
    for reference in ["one@azurekeyvault", "two@azurekeyvault"] {
        assert!(value(&stand, reference).await == "kwcanary-db-1", "{reference}");
    }
    assert_eq!(stand.emulator.calls().matching(|call: &CallCount| call.vault == "acme" && call.status == 200), 1);
}

#[tokio::test]
async fn names_that_mean_something_to_a_url_never_reach_one() {
    let hostile = ["db/../db-password", "db?x=1", "db#x", "db.password", "db%2fx"];
    let manifests: String = hostile
        .iter()
        .enumerate()
        .flat_map(|(n, name)| {
            [
                secret_of("shop", &format!("object-{n}"), "acme", name, "type: secret"),
                secret_of("shop", &format!("vault-{n}"), name, "db-password", "type: secret"),
            ]
        })
        .collect();
    let stand = shop(&manifests).await;
    let token = stand.emulator.projected_token(&shop_token()).unwrap();
    for n in 0..hostile.len() {
        for name in [format!("object-{n}"), format!("vault-{n}")] {
            let status = resolve(&stand, Some(&token), &[&name]).await.unwrap_err();
            assert_eq!(status.code(), Code::FailedPrecondition, "{name}: {}", status.message());
            assert!(status.message().contains("is invalid"), "{name}: {}", status.message());
        }
    }
    // The same in the reference itself, past the launcher.
    for name in ["../bank/db", "a/b", "db?x", "", "DB"] {
        let status = resolve(&stand, Some(&token), &[name]).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{name}: {}", status.message());
    }
    assert_eq!(stand.emulator.calls().matching(|call: &CallCount| call.vault == "acme"), 0);
}

#[tokio::test]
async fn what_only_looks_like_a_reference_stops_the_launcher() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    for reference in ["DB@azurekeyvault", "db-password@azurekeyvault?9", "db-password@azurekeyvault\n"] {
        let finished = launch(&stand, &shop_token(), reference).await;
        assert_eq!(finished.status.code(), Some(65), "{reference:?}: {}", finished.stderr);
        assert!(finished.stderr.contains("VALUE"), "the variable is named: {}", finished.stderr);
    }
}

#[tokio::test]
async fn of_two_declarations_of_one_origin_only_one_decides() {
    let second = VAULT.replace("name: acme}", "name: second}").replace("vaultName: acme", "vaultName: other");
    let second = second.replace("[shop]", "['*']");
    let manifests = format!(
        "{VAULT}---{second}{}{}",
        secret("bank", "db-password", "secret"),
        secret_of("bank", "by-other-name", "other", "db-password", "type: secret")
    );
    let stand = stand(super::support::OBJECTS, &manifests).await;
    let bank = stand.emulator.projected_token(&ProjectedToken::for_pod("bank", "teller", "teller-1")).unwrap();
    for name in ["db-password", "by-other-name"] {
        let status = resolve(&stand, Some(&bank), &[name]).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{name}: {}", status.message());
    }
    let status = stand.status(&[]).unwrap().output().await.unwrap();
    let table = String::from_utf8(status.stdout).unwrap();
    assert!(table.contains("AzureKeyVault/second") && table.contains("Conflict"), "{table}");
}
