use serde_json::{Value, json};

use super::*;
use crate::{
    authz,
    policy::{DefaultAccess, testing::defaults},
};

fn inventory() -> Inventory {
    Inventory::new(defaults(DefaultAccess::Deny))
}

fn raw(object: Value) -> Raw {
    serde_json::from_value(object).unwrap()
}

fn secret(name: &str, generation: i64, vault: &str, object: &str) -> Raw {
    raw(json!({
        "metadata": { "namespace": "shop", "name": name, "uid": format!("uid-{name}"), "generation": generation },
        "spec": { "vault": { "name": vault, "object": { "name": object, "type": "secret" } } },
    }))
}

fn vault(name: &str, created: &str, spec: &Value, status: &Value) -> Raw {
    raw(json!({
        "metadata": { "name": name, "generation": 1, "resourceVersion": "7", "creationTimestamp": created },
        "spec": spec, "status": status,
    }))
}

fn acme(name: &str, created: &str) -> Raw {
    vault(name, created, &json!({ "vaultName": "acme", "namespaces": { "names": ["shop"] } }), &Value::Null)
}

fn namespace(name: &str, labels: &Value) -> PartialObjectMeta<Namespace> {
    serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } })).unwrap()
}

fn listed<K>(objects: impl IntoIterator<Item = K>) -> impl Iterator<Item = Event<K>> {
    let objects = objects.into_iter().map(Event::InitApply);
    [Event::Init].into_iter().chain(objects).chain([Event::InitDone])
}

impl Inventory {
    fn secrets(&mut self, events: impl IntoIterator<Item = Event<Raw>>) -> &mut Self {
        events.into_iter().for_each(|event| self.hear(Heard::Secret(event)));
        self
    }

    fn vaults(&mut self, events: impl IntoIterator<Item = Event<Raw>>) -> &mut Self {
        events.into_iter().for_each(|event| self.hear(Heard::Vault(event)));
        self
    }

    fn namespaces(&mut self, events: impl IntoIterator<Item = Event<PartialObjectMeta<Namespace>>>) -> &mut Self {
        events.into_iter().for_each(|event| self.hear(Heard::Namespace(event)));
        self
    }

    /// With everything listed: these secrets, and a vault for them.
    fn synced(secrets: impl IntoIterator<Item = Raw>) -> Self {
        let mut inventory = inventory();
        inventory
            .secrets(listed(secrets))
            .vaults(listed([acme("acme", "2026-01-01T00:00:00Z")]))
            .namespaces(listed([]));
        inventory
    }

    fn published(&mut self) -> Snapshot {
        self.publish().unwrap().snapshot
    }
}

fn granted(snapshot: &Snapshot, name: &str) -> bool {
    authz::find(snapshot, "shop", name).and_then(|secret| authz::grant(snapshot, secret)).is_ok()
}

#[test]
fn nothing_is_published_before_every_kind_was_listed_to_its_end() {
    let mut inventory = inventory();
    inventory.secrets(listed([secret("db", 1, "acme", "db")])).vaults(listed([acme("acme", "")]));
    assert!(!inventory.has_news() && inventory.publish().is_none());
    inventory.namespaces([Event::Init, Event::InitApply(namespace("shop", &json!({})))]);
    assert!(!inventory.has_news() && inventory.publish().is_none());
    inventory.namespaces([Event::InitDone]);
    assert!(inventory.has_news());
    let snapshot = inventory.published();
    assert!(snapshot.is_complete() && granted(&snapshot, "db"));
    assert!(!inventory.has_news() && inventory.publish().is_none(), "once");
}

#[test]
fn an_invalid_object_hides_neither_another_nor_its_own_deletion() {
    let mut invalid = secret("odd", 1, "acme", "a/b");
    let misspelt =
        raw(json!({ "metadata": { "namespace": "shop", "name": "typo", "uid": "u" }, "spec": { "valt": 1 } }));
    let empty = raw(json!({ "metadata": { "namespace": "shop", "name": "empty" } }));
    let mut inventory = Inventory::synced([secret("db", 1, "acme", "db"), invalid.clone(), misspelt.clone(), empty]);
    let Published { snapshot, problems, .. } = inventory.publish().unwrap();
    assert!(granted(&snapshot, "db"));
    let refused =
        |snapshot: &Snapshot, name: &str| snapshot.secret("shop", name).unwrap().as_ref().unwrap_err().clone();
    assert!(refused(&snapshot, "odd").reason.contains("`a/b`"));
    assert!(refused(&snapshot, "typo").reason.contains("valt"));
    assert_eq!(refused(&snapshot, "typo").uid.as_deref(), Some("u"));
    assert!(refused(&snapshot, "empty").reason.contains("spec is missing"));
    let objects: Vec<_> = problems.iter().map(|problem| problem.object.as_str()).collect();
    let expected = ["empty", "odd", "typo"].map(|name| format!("AzureKeyVaultSecret/shop/{name}"));
    assert_eq!(objects, expected);
    invalid.metadata.generation = Some(2);
    inventory.secrets([Event::Apply(invalid.clone()), Event::Delete(misspelt)]);
    let Published { snapshot, problems, .. } = inventory.publish().unwrap();
    assert!(snapshot.secret("shop", "typo").is_none());
    assert_eq!((snapshot.problems().len(), problems.len()), (2, 0), "what was told is not told again");
    inventory.secrets([Event::Delete(invalid), Event::Apply(secret("odd", 1, "acme", "odd"))]);
    assert!(granted(&inventory.published(), "odd"));
}

#[test]
fn what_a_new_list_lacks_is_gone_once_it_is_complete_and_not_before() {
    let mut inventory = Inventory::synced(["db", "mail"].map(|name| secret(name, 1, "acme", name)));
    inventory.published();
    inventory.secrets([Event::Init, Event::InitApply(secret("db", 1, "acme", "db"))]);
    inventory.vaults([Event::Init]);
    assert!(!inventory.has_news());
    inventory.secrets([Event::InitDone]);
    let snapshot = inventory.published();
    assert!(granted(&snapshot, "db") && snapshot.secret("shop", "mail").is_none());
    inventory.vaults([Event::InitDone]);
    assert!(!granted(&inventory.published(), "db"), "nothing admits it any more");
}

#[test]
fn an_object_of_which_only_the_status_changed_makes_no_snapshot() {
    let mut inventory = Inventory::synced([secret("db", 1, "acme", "db")]);
    inventory.namespaces(listed([namespace("shop", &json!({ "a": "b" }))]));
    let before = inventory.published();
    let mut again = secret("db", 1, "acme", "db");
    again.status = Some(json!({ "version": "x" }));
    again.metadata.resource_version = Some("9".into());
    inventory.secrets([Event::Apply(again)]);
    inventory.namespaces([Event::Apply(namespace("shop", &json!({ "a": "b" })))]);
    assert!(!inventory.has_news());
    let status = json!({ "conditions": [] });
    let spec = json!({ "vaultName": "acme", "namespaces": { "names": ["shop"] } });
    inventory.vaults([Event::Apply(vault("acme", "2026-01-01T00:00:00Z", &spec, &status))]);
    assert!(inventory.publish().is_none());
    inventory.secrets(listed([secret("db", 1, "acme", "db")]));
    let after = inventory.published();
    let entry = |snapshot: &Snapshot| Arc::clone(snapshot.secret("shop", "db").unwrap().as_ref().unwrap());
    assert!(Arc::ptr_eq(&entry(&before), &entry(&after)), "it is held once, however often it is listed");
}

#[test]
fn a_label_decides_as_soon_as_it_is_there_and_no_longer() {
    let spec = json!({ "vaultName": "acme", "namespaces": { "selector": { "matchLabels": { "tier": "gold" } } } });
    let mut inventory = Inventory::synced([secret("db", 1, "acme", "db")]);
    inventory.vaults([Event::Apply(vault("acme", "2026-01-01T00:00:00Z", &spec, &Value::Null))]);
    assert!(!granted(&inventory.published(), "db"));
    for (event, expected) in [
        (Event::Apply(namespace("shop", &json!({ "tier": "gold" }))), true),
        (Event::Apply(namespace("shop", &json!({ "tier": "silver" }))), false),
        (Event::Apply(namespace("shop", &json!({ "tier": "gold" }))), true),
        (Event::Delete(namespace("shop", &json!({}))), false),
    ] {
        inventory.namespaces([event]);
        let published = inventory.publish().unwrap();
        assert!(published.policy && !published.vaults);
        assert_eq!(granted(&published.snapshot, "db"), expected);
    }
}

#[test]
fn who_listens_for_policy_hears_of_secrets_nothing_and_of_vaults_only_when_one_is_new() {
    let mut inventory = Inventory::synced([]);
    inventory.published();
    let mut told = |event: Event<Raw>| {
        inventory.secrets([event]);
        let Published { snapshot, policy, vaults, .. } = inventory.publish().unwrap();
        let mut names: Vec<_> = snapshot.vault_names().map(ToString::to_string).collect();
        names.sort();
        assert!(!policy);
        (vaults, names)
    };
    assert_eq!(told(Event::Apply(secret("a", 1, "acme", "a"))), (true, vec!["acme".to_owned()]));
    assert_eq!(told(Event::Apply(secret("b", 1, "ACME", "b"))), (false, vec!["acme".to_owned()]));
    assert_eq!(told(Event::Apply(secret("b", 2, "bank", "b"))), (true, vec!["acme".to_owned(), "bank".to_owned()]));
    assert_eq!(told(Event::Apply(secret("b", 3, "bank", "c"))).0, false);
    assert_eq!(told(Event::Delete(secret("b", 3, "bank", "c"))), (true, vec!["acme".to_owned()]));
}

#[test]
fn of_two_declarations_the_older_holds_and_each_is_told_so_once() {
    let mut inventory = Inventory::synced([secret("db", 1, "acme", "db")]);
    let newer = |status: &Value| {
        let spec = json!({ "vaultName": "other", "url": "https://acme.vault.azure.net" });
        vault("aardvark", "2026-02-01T00:00:00Z", &spec, status)
    };
    let odd =
        vault("odd", "2020-01-01T00:00:00Z", &json!({ "vaultName": "odd", "pollInterval": "soon" }), &Value::Null);
    inventory.vaults([Event::Apply(newer(&Value::Null)), Event::Apply(odd)]);
    let Published { snapshot, problems, .. } = inventory.publish().unwrap();
    assert!(granted(&snapshot, "db"));
    assert_eq!(problems.len(), 2);
    let verdicts: Vec<_> =
        inventory.verdicts().iter().map(|one| (one.name.clone(), format!("{:?}", one.wanted))).collect();
    for (name, words) in [("acme", "Accepted"), ("aardvark", "Conflict"), ("odd", "Invalid")] {
        let verdict = verdicts.iter().find(|(of, _)| of == name).unwrap();
        assert!(verdict.1.contains(words), "{verdict:?}");
    }
    // As the status is written, nothing is left to write.
    let told = inventory.verdicts().iter().find(|one| one.name == "aardvark").unwrap().clone();
    assert_eq!(told.resource_version, "7");
    let condition = |transition: &str| {
        json!({ "observedGeneration": 1, "conditions": [{
        "type": "Ready", "status": "False", "reason": "Conflict", "observedGeneration": 1,
        "lastTransitionTime": transition,
        "message": "Conflict: another AzureKeyVault already declares https://acme.vault.azure.net; the older holds",
    }] })
    };
    inventory.vaults([Event::Apply(newer(&condition("2026-03-01T00:00:00Z")))]);
    assert!(inventory.has_news() && inventory.publish().is_none());
    assert!(inventory.verdicts().iter().all(|one| one.name != "aardvark"));
    // The older one goes: the newer holds, and its status is written anew.
    inventory.vaults([Event::Delete(acme("acme", "2026-01-01T00:00:00Z"))]);
    assert!(!granted(&inventory.published(), "db"), "the newer one declares another name and admits nobody");
    let told = inventory.verdicts().iter().find(|one| one.name == "aardvark").unwrap();
    assert!(format!("{:?}", told.wanted).contains("Accepted") && told.since.is_none());
}

#[test]
fn of_the_same_age_the_first_by_name_holds_whatever_came_first() {
    let same = "2026-01-01T00:00:00Z";
    for order in [["a", "b"], ["b", "a"]] {
        let mut inventory = inventory();
        inventory.secrets(listed([])).vaults(listed(order.map(|name| acme(name, same)))).namespaces(listed([]));
        inventory.published();
        let told: Vec<_> =
            inventory.verdicts().iter().map(|one| (one.name.as_str(), format!("{:?}", one.wanted))).collect();
        assert!(told.iter().any(|(name, words)| *name == "a" && words.contains("Accepted")), "{told:?}");
        assert!(told.iter().any(|(name, words)| *name == "b" && words.contains("Conflict")), "{told:?}");
    }
}

#[test]
fn a_declaration_that_nobody_understands_closes_its_vault() {
    let mut inventory = Inventory::new(defaults(DefaultAccess::Allow));
    let odd = vault("odd", "2020-01-01T00:00:00Z", &json!({ "vaultName": "acme", "nope": 1 }), &Value::Null);
    inventory.secrets(listed([secret("db", 1, "acme", "db"), secret("stray", 1, "nowhere", "db")]));
    inventory.vaults(listed([])).namespaces(listed([]));
    let snapshot = inventory.published();
    assert!(granted(&snapshot, "db") && granted(&snapshot, "stray"));
    inventory.vaults([Event::Apply(odd.clone())]);
    let snapshot = inventory.published();
    assert!(!granted(&snapshot, "db") && !granted(&snapshot, "stray"), "it might have been about any vault");
    inventory.vaults([Event::Delete(odd)]);
    assert!(granted(&inventory.published(), "db"));
}
