use super::{testing::defaults, *};
use crate::manifests;

fn snapshot(access: DefaultAccess, text: &str) -> Snapshot {
    Snapshot::build(defaults(access), manifests::read("f", text))
}

fn vault(name: &str, spec: &str, created: &str) -> String {
    format!(
        "---\napiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\n\
         metadata: {{name: {name}, creationTimestamp: {created}}}\nspec: {{{spec}}}\n"
    )
}

fn secret(name: &str, vault: &str, object: &str) -> String {
    format!(
        "---\napiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{vault: {{name: \"{vault}\", object: {{name: \"{object}\", type: secret}}}}}}\n"
    )
}

#[test]
fn the_older_declaration_of_a_vault_holds_whatever_the_order_read() {
    let old = vault("old", "vaultName: Acme, namespaces: {names: [shop]}", "2026-01-01T00:00:00Z");
    let new = vault("new", "vaultName: acme, namespaces: {names: [bank]}", "2026-02-01T00:00:00Z");
    for text in [format!("{old}{new}"), format!("{new}{old}")] {
        let snapshot = snapshot(DefaultAccess::Deny, &text);
        let Some(Declared::Valid(entry)) = snapshot.vault(&VaultName::new("acme").unwrap()) else { panic!() };
        assert_eq!(entry.declared_as, "old");
        assert_eq!(snapshot.problems().len(), 1);
        assert!(snapshot.problems()[0].reason.starts_with("Conflict"), "{:?}", snapshot.problems());
        assert_eq!(snapshot.problems()[0].object, "AzureKeyVault/new");
    }
}

#[test]
fn two_names_for_one_origin_conflict_too() {
    let one = vault("one", "vaultName: acme", "2026-01-01T00:00:00Z");
    let two = vault("two", "vaultName: other, url: 'https://ACME.vault.azure.net:443/'", "2026-02-01T00:00:00Z");
    let snapshot = snapshot(DefaultAccess::Deny, &format!("{two}{one}"));
    assert!(snapshot.vault(&VaultName::new("other").unwrap()).is_none());
    assert!(snapshot.problems()[0].reason.contains("https://acme.vault.azure.net"), "{:?}", snapshot.problems());
}

#[test]
fn a_vault_whose_declaration_is_invalid_is_closed_even_where_others_are_open() {
    for spec in
        ["vaultName: acme, url: 'http://plain'", "vaultName: acme, unknown: 1", "vaultName: acme, pollInterval: soon"]
    {
        let snapshot = snapshot(DefaultAccess::Allow, &vault("a", spec, "2026-01-01T00:00:00Z"));
        assert!(matches!(snapshot.vault(&VaultName::new("acme").unwrap()), Some(Declared::Invalid(_))), "{spec}");
        assert_eq!(snapshot.defaults().access, DefaultAccess::Deny, "{spec}: it may have named another's URL");
    }
    let nameless = snapshot(DefaultAccess::Allow, &vault("a", "unknown: 1", "2026-01-01T00:00:00Z"));
    assert_eq!(nameless.defaults().access, DefaultAccess::Deny, "it could have been about any vault");
}

#[test]
fn an_invalid_secret_is_known_as_invalid_and_its_neighbours_hold() {
    let text = [secret("good", "acme", "db"), secret("bad", "acme", "a/../b"), secret("dots", "a.c", "db")].concat();
    let snapshot = snapshot(DefaultAccess::Deny, &text);
    assert!(snapshot.secret("shop", "good").unwrap().is_ok());
    assert!(snapshot.secret("shop", "bad").unwrap().as_ref().unwrap_err().reason.contains("`a/../b`"));
    assert!(snapshot.secret("shop", "dots").unwrap().is_err());
    assert!(snapshot.secret("bank", "good").is_none());
    assert_eq!(snapshot.problems().len(), 2);
}

#[test]
fn of_two_secrets_with_one_name_the_first_holds() {
    let text = [secret("db", "acme", "one"), secret("db", "acme", "two")].concat();
    let snapshot = snapshot(DefaultAccess::Deny, &text);
    let entry = snapshot.secret("shop", "db").unwrap().as_ref().unwrap();
    assert_eq!(entry.object.name.as_str(), "one");
    assert_eq!(snapshot.problems()[0].place, "f#2");
}

#[test]
fn what_is_no_yaml_closes_what_is_undeclared() {
    for text in ["{not: [yaml", "just text", "apiVersion: keyward.dev/v1alpha1\n"] {
        assert_eq!(snapshot(DefaultAccess::Allow, text).defaults().access, DefaultAccess::Deny, "{text}");
    }
    let others = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n";
    assert_eq!(snapshot(DefaultAccess::Allow, others).defaults().access, DefaultAccess::Allow);
}

#[test]
fn an_invalid_declaration_takes_no_valid_ones_place() {
    let valid = vault("good", "vaultName: acme, namespaces: {names: [shop]}", "2026-01-01T00:00:00Z");
    for bad in ["vaultName: acme, unknown: 1", "vaultName: acme, pollInterval: soon"] {
        let bad = vault("bad", bad, "2020-01-01T00:00:00Z");
        for text in [format!("{valid}{bad}"), format!("{bad}{valid}")] {
            let snapshot = snapshot(DefaultAccess::Deny, &text);
            let acme = snapshot.vault(&VaultName::new("acme").unwrap());
            assert!(matches!(acme, Some(Declared::Valid(entry)) if entry.declared_as == "good"), "{text}");
            assert_eq!(snapshot.problems().len(), 1);
            assert_eq!(snapshot.problems()[0].object, "AzureKeyVault/bad");
        }
    }
}
