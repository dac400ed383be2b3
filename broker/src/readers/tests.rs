//! Vaults that are opened, closed and declared otherwise.

use std::time::Duration;

use super::*;
use crate::{
    budget::Class,
    manifests,
    policy::{DefaultAccess, testing},
    vault::testing::FakeVault,
};

const SECRET: &str = "---\napiVersion: spv.no/v1\nkind: AzureKeyVaultSecret\nmetadata: {name: db, namespace: shop}\n\
                      spec: {vault: {name: acme, object: {name: db, type: secret}}}\n";

fn declared(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )
}

fn snapshot(access: DefaultAccess, text: &str) -> Snapshot {
    Snapshot::build(testing::defaults(access), manifests::read("f", text))
}

fn opened(spec: &str) -> (Arc<Readers>, Arc<OpenVault>) {
    FakeVault::with_secrets(1).open(&testing::vault(spec))
}

#[tokio::test(start_paused = true)]
async fn a_pause_and_a_spent_budget_outlive_a_change_of_identity() {
    let (readers, before) = opened("{vaultName: acme}");
    let throttled: Result<(), _> = Err(ReadError::Throttled { retry_after: Some(Duration::from_secs(60)) });
    before.gate().admit(Class::PodStart, 1).await.unwrap().settle(&throttled);
    drop(before);
    let other = "vaultName: acme, identity: {clientId: other}";
    readers.retain(&snapshot(DefaultAccess::Deny, &declared("a", other)));
    assert!(readers.all().is_empty());
    let after = readers.open(&testing::vault(&format!("{{{other}}}"))).unwrap();
    assert!(after.gate().admit(Class::PodStart, 1).await.is_err(), "still inside the pause");

    drop(after);
    for (kept, wait) in [(1, 100), (0, 0)] {
        readers.retain(&snapshot(DefaultAccess::Deny, ""));
        assert_eq!(readers.gates.lock().unwrap().len(), kept, "until the pause is over");
        tokio::time::advance(Duration::from_secs(wait)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_gates_of_closed_vaults_are_forgotten_once_they_are_as_new() {
    let (readers, vault) = opened("{vaultName: acme}");
    vault.gate().admit(Class::PodStart, 1).await.unwrap().settle(&Ok(()));
    drop(vault);
    for (kept, wait) in [(1, 60), (0, 0)] {
        readers.retain(&snapshot(DefaultAccess::Deny, ""));
        assert_eq!(readers.gates.lock().unwrap().len(), kept);
        tokio::time::advance(Duration::from_secs(wait)).await;
    }
}

#[tokio::test]
async fn two_identities_of_one_vault_share_its_gate() {
    let (readers, one) = opened("{vaultName: acme}");
    let other = readers.open(&testing::vault("{vaultName: acme, identity: {clientId: other}}")).unwrap();
    assert!(!Arc::ptr_eq(&one, &other) && Arc::ptr_eq(one.gate(), other.gate()));
}

#[tokio::test]
async fn an_open_vault_is_handed_what_its_declaration_says_anew() {
    let (readers, vault) = opened("{vaultName: acme}");
    let spec = "vaultName: acme, maxStale: 0s, pollInterval: 7s, budget: {requestsPer10Seconds: 20}";
    readers.retain(&snapshot(DefaultAccess::Deny, &declared("a", spec)));
    let settings = vault.settings();
    assert_eq!((settings.max_stale, settings.poll_interval), (Duration::ZERO, Duration::from_secs(7)));
    assert_eq!(vault.gate().status().capacity, 10);
    readers.changed().await;
}

#[tokio::test]
async fn a_request_from_before_a_change_opens_a_vault_by_what_is_declared_since() {
    let (readers, vault) = opened("{vaultName: acme}");
    let before = vault.settings();
    readers.retain(&snapshot(DefaultAccess::Deny, ""));
    readers.retain(&snapshot(DefaultAccess::Deny, &declared("a", "vaultName: acme, maxStale: 0s")));
    assert_eq!(readers.open(&before).unwrap().settings().max_stale, Duration::ZERO);
}

#[tokio::test]
async fn an_undeclared_vault_stays_open_only_where_such_vaults_are_open_to_all() {
    for (access, text, open) in [
        (DefaultAccess::Allow, SECRET.to_owned(), 1),
        (DefaultAccess::Deny, SECRET.to_owned(), 0),
        (DefaultAccess::Allow, String::new(), 0),
        (DefaultAccess::Allow, format!("{SECRET}{}", declared("a", "vaultName: acme, identity: {clientId: o}")), 0),
        (
            DefaultAccess::Allow,
            format!(
                "{SECRET}{}",
                declared("a", "vaultName: other, url: 'https://acme.vault.azure.net', identity: {clientId: o}")
            ),
            0,
        ),
    ] {
        let (readers, _) = opened("{vaultName: acme}");
        readers.retain(&snapshot(access, &text));
        assert_eq!(readers.all().len(), open, "{access:?} {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_paid_from_the_budget() {
    let (_, vault) = opened("{vaultName: acme}");
    let left = vault.gate().status().left;
    vault.observer.request(Operation::GetSecret, Some(401), Duration::ZERO);
    vault.observer.request(Operation::GetSecret, Some(200), Duration::ZERO);
    assert_eq!(vault.gate().status().left, left - 1);
    assert_eq!(vault.requests(), 2);
}
