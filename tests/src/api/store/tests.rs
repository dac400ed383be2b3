//! What real API servers do, on this store.

use serde_json::json;

use super::*;

const KIND: Resource = Resource::CONFIG_MAPS;

fn at(name: &str) -> Key {
    (KIND, "shop".to_owned(), name.to_owned())
}

fn store() -> (Store, Value) {
    let mut store = Store::default();
    let object = store.create(at("db"), "us", json!({"data": {"a": "1"}})).unwrap();
    (store, object)
}

#[test]
fn what_exists_is_not_made_again_and_what_is_not_there_not_replaced() {
    let (mut store, object) = store();
    assert_eq!(store.create(at("db"), "us", json!({})), Err(Refusal::AlreadyExists));
    assert_eq!(store.replace(at("other"), object), Err(Refusal::NotFound));
    assert_eq!(store.merge(at("other"), &json!({})), Err(Refusal::NotFound));
    assert_eq!(store.edit(at("other"), &json!([])), Err(Refusal::NotFound));
    assert_eq!(store.delete(&at("other"), &json!({})), Err(Refusal::NotFound));
    let generated = store.create(at(""), "us", json!({"metadata": {"generateName": "e-"}})).unwrap();
    assert_eq!(generated["metadata"]["name"], "e-2");
}

#[test]
fn whoever_knows_another_revision_is_refused() {
    let (mut store, first) = store();
    let mut second = first.clone();
    second["data"]["a"] = "2".into();
    let second = store.replace(at("db"), second).unwrap();
    assert_ne!(first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
    let old = json!({"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}});
    assert_eq!(store.replace(at("db"), first.clone()), Err(Refusal::Conflict));
    assert_eq!(store.merge(at("db"), &old), Err(Refusal::Conflict));
    assert_eq!(store.apply(at("db"), "us", old.clone()), Err(Refusal::Conflict));
    assert_eq!(store.delete(&at("db"), &old["metadata"]), Err(Refusal::Conflict));
    let gone = json!({"metadata": {"uid": "uid-1"}});
    assert_eq!(store.apply(at("other"), "us", gone), Err(Refusal::Conflict));
    store.delete(&at("db"), &json!({"uid": first["metadata"]["uid"]})).unwrap();
    assert_eq!(store.get(KIND, "shop", "db"), None);
}

#[test]
fn a_json_patch_is_applied_whole_or_not_at_all() {
    let (mut store, _) = store();
    let test = json!({"op": "test", "path": "/data/a", "value": "0"});
    let add = json!({"op": "add", "path": "/data/b", "value": "2"});
    assert_eq!(store.edit(at("db"), &json!([add, test])), Err(Refusal::Invalid));
    assert_eq!(store.get(KIND, "shop", "db").unwrap()["data"], json!({"a": "1"}));
    assert_eq!(store.edit(at("db"), &json!([add])).unwrap()["data"], json!({"a": "1", "b": "2"}));
}

#[test]
fn a_write_that_changes_nothing_is_no_event() {
    let (mut store, object) = store();
    let before = store.version();
    assert_eq!(store.replace(at("db"), object.clone()).unwrap(), object);
    assert_eq!(store.merge(at("db"), &json!({"data": {"a": "1"}})).unwrap(), object);
    store.apply(at("db"), "them", json!({"data": {"b": "2"}})).unwrap();
    let applied = store.version();
    store.apply(at("db"), "them", json!({"data": {"b": "2"}})).unwrap();
    assert_eq!((before + 1, applied), (applied, store.version()));
}

#[test]
fn a_watch_is_told_of_what_it_is_of() {
    let mut store = Store::default();
    let labelled = json!({"metadata": {"name": "db", "namespace": "shop", "labels": {"a": "b"}}});
    store.put(KIND, labelled);
    store.merge(at("db"), &json!({"data": {"a": "1"}})).unwrap();
    store.merge(at("db"), &json!({"metadata": {"labels": {"a": null}}})).unwrap();
    store.put(Resource::CORE_SECRETS, json!({"metadata": {"name": "db", "namespace": "shop", "labels": {"a": "b"}}}));
    store.bookmark();
    store.delete(&at("db"), &json!({})).unwrap();
    let parameters = [("labelSelector".to_owned(), "a=b".to_owned())].into();
    for (selector, expected) in [
        (Selector::new(None, &parameters), vec!["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]),
        (Selector::default(), vec!["ADDED", "MODIFIED", "MODIFIED", "BOOKMARK", "DELETED"]),
    ] {
        let (lines, version) = store.after(KIND, &selector, 0).unwrap();
        let kinds = lines.iter().map(|line| match line {
            Line::Bookmark(_) => "BOOKMARK",
            Line::Object(kind, _) => kind,
        });
        assert_eq!((kinds.collect::<Vec<_>>(), version), (expected, 6));
    }
    store.forget();
    assert!(store.after(KIND, &Selector::default(), 6).is_none());
}
