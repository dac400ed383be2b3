//! Every rule, as a table of one object before.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use keyward_types::SecretBytes;
use serde_json::{Value, json};

use super::*;
use crate::{desired::MANAGED_BY, fields::manager_of, target::Target};

const ME: &str = "3f1c2d8e-0000-4000-8000-000000000001";
const OLDER: &str = "3f1c2d8e-0000-4000-8000-000000000002";
const YOUNGER: &str = "3f1c2d8e-0000-4000-8000-000000000003";
const GONE: &str = "3f1c2d8e-0000-4000-8000-000000000004";

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(1_700_000_000 + second).unwrap())
}

fn peer(uid: &str) -> Option<Peer> {
    let created = match uid {
        OLDER => at(1),
        YOUNGER => at(9),
        _ => return None,
    };
    Some(Peer { shown: "shop/other".into(), created: Some(created) })
}

fn desired(secret_type: Option<&str>, data: &[(&str, &str)]) -> Desired {
    Desired {
        target: Target { kind: TargetKind::Secret, namespace: "shop".into(), name: "db".into() },
        secret_type: secret_type.map(Into::into),
        data: data.iter().map(|(key, value)| ((*key).to_owned(), SecretBytes::from(*value))).collect(),
        labels: BTreeMap::from([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())]),
        annotations: BTreeMap::new(),
    }
}

/// An object as the API server holds it, built up part by part.
struct Object(Value);

impl Object {
    /// A Secret of `secret_type` with this data, nobody's.
    fn new(secret_type: &str, data: &[(&str, &str)]) -> Self {
        let data: BTreeMap<_, _> = data
            .iter()
            .map(|(key, value)| (*key, base64::Engine::encode(&base64::engine::general_purpose::STANDARD, value)))
            .collect();
        Self(json!({
            "metadata": {
                "uid": "s", "resourceVersion": "7", "labels": {}, "annotations": {}, "ownerReferences": [],
                "managedFields": [],
            },
            "type": secret_type, "data": data,
        }))
    }

    fn owner(mut self, uid: &str) -> Self {
        let owner = json!({"apiVersion": "spv.no/v2beta1", "kind": "AzureKeyVaultSecret", "name": "x", "uid": uid});
        self.0["metadata"]["ownerReferences"].as_array_mut().unwrap().push(owner);
        self
    }

    fn part(mut self, manager: &str, operation: &str, keys: &[&str], owns_type: bool) -> Self {
        let data: BTreeMap<String, Value> = keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
        let mut fields = json!({"f:data": data});
        if let Some(uid) = crate::fields::uid_of(manager) {
            fields["f:metadata"] = json!({
                "f:labels": {"f:app.kubernetes.io/managed-by": {}},
                "f:ownerReferences": {format!("k:{{\"uid\":\"{uid}\"}}"): {}},
            });
        }
        if owns_type {
            fields["f:type"] = json!({});
        }
        let entry = json!({"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields});
        self.0["metadata"]["managedFields"].as_array_mut().unwrap().push(entry);
        self
    }

    /// What the secret with `uid` has applied.
    fn applied(self, uid: &str, keys: &[&str], owns_type: bool) -> Self {
        self.label(MANAGED_BY.0, MANAGED_BY.1).owner(uid).part(&manager_of(uid), "Apply", keys, owns_type)
    }

    fn label(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][key] = json!(value);
        self
    }

    fn annotation(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][key] = json!(value);
        self
    }

    fn deleting(mut self) -> Self {
        self.0["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        self
    }

    fn planned(&self, desired: &Desired) -> Plan {
        self.planned_by(desired, false)
    }

    fn planned_by(&self, desired: &Desired, adopts: bool) -> Plan {
        let observed = Observed::read(TargetKind::Secret, self.0.to_string().as_bytes()).unwrap();
        let created = at(5);
        plan(&Me { uid: ME, created: Some(&created), adopts }, desired, Some(&observed), &peer)
    }
}

fn apply(force: bool) -> Plan {
    Plan::Apply { force, resource_version: "7".into(), evict: Vec::new() }
}

fn refused(plan: Plan) -> Refusal {
    match plan {
        Plan::Refuse(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_does_not_exist_is_created_and_what_is_right_is_kept() {
    let wanted = desired(None, &[("k", "1")]);
    let created = at(5);
    assert_eq!(plan(&Me { uid: ME, created: Some(&created), adopts: false }, &wanted, None, &peer), Plan::Create);
    let object = Object::new("Opaque", &[("k", "1")]).applied(ME, &["k"], false);
    assert_eq!(object.planned(&wanted), Plan::Keep);
    let beside = object.label("theirs", "x").annotation("theirs", "x").part("kubectl", "Update", &[], false);
    assert_eq!(beside.planned(&wanted), Plan::Keep, "what others add beside is theirs");
}

#[test]
fn what_drifted_is_set_right() {
    let wanted = desired(None, &[("k", "1")]);
    let object = |data: &[(&str, &str)]| Object::new("Opaque", data);
    for (what, object) in [
        ("another value", object(&[("k", "2")]).applied(ME, &[], false).part("kubectl-edit", "Update", &["k"], false)),
        ("a key deleted", object(&[]).applied(ME, &[], false)),
        ("the label deleted", object(&[("k", "1")]).owner(ME).part(&manager_of(ME), "Apply", &["k"], false)),
        (
            "the owner deleted",
            object(&[("k", "1")]).label(MANAGED_BY.0, MANAGED_BY.1).part(&manager_of(ME), "Apply", &["k"], false),
        ),
        ("a key that is no longer wanted", object(&[("k", "1"), ("old", "1")]).applied(ME, &["k", "old"], false)),
        ("somebody else wrote the same", object(&[("k", "1")]).owner(ME).part("kubectl", "Update", &["k"], false)),
    ] {
        assert_eq!(object.planned(&wanted), apply(true), "{what}");
    }
}

#[test]
fn what_is_on_its_way_out_is_waited_for() {
    let object = Object::new("Opaque", &[("k", "1")]).applied(ME, &["k"], false).deleting();
    assert_eq!(object.planned(&desired(None, &[("k", "1")])), Plan::Wait);
}

#[test]
fn what_is_somebody_elses_is_not_touched_unless_it_is_adopted() {
    let wanted = desired(None, &[("k", "1")]);
    let object = Object::new("Opaque", &[("k", "0"), ("x", "0")]).part("kubectl", "Update", &["k", "x"], true);
    assert_eq!(refused(object.planned(&wanted)), Refusal::NotOwned { target: "Secret shop/db".into() });
    assert_eq!(object.planned_by(&wanted, true), apply(true));
}

#[test]
fn what_akv2k8s_left_is_owned_by_its_owner_reference() {
    let wanted = desired(None, &[("k", "1")]);
    let left = |owner| {
        Object::new("Opaque", &[("k", "1")]).owner(owner).part("azure-keyvault-controller", "Update", &["k"], true)
    };
    assert_eq!(left(ME).planned(&wanted), apply(true));
    assert!(matches!(left(OLDER).planned(&wanted), Plan::Refuse(Refusal::NotOwned { .. })));
}

#[test]
fn several_fill_one_object_each_with_its_keys() {
    let wanted = desired(None, &[("k", "1")]);
    let others = Object::new("Opaque", &[("a", "1")]).applied(OLDER, &["a"], false);
    assert_eq!(others.planned(&wanted), apply(false), "joining forces nothing");
    let both =
        Object::new("Opaque", &[("a", "1"), ("k", "1")]).applied(OLDER, &["a"], false).applied(ME, &["k"], false);
    assert_eq!(both.planned(&wanted), Plan::Keep);
}

#[test]
fn a_key_is_not_taken_from_another() {
    let wanted = desired(None, &[("k", "1")]);
    let key = |give_up| Refusal::Key {
        target: "Secret shop/db".into(),
        key: "k".into(),
        other: "shop/other".into(),
        give_up,
    };
    for other in [OLDER, YOUNGER] {
        let held = Object::new("Opaque", &[("k", "0")]).applied(other, &["k"], false);
        assert_eq!(refused(held.planned(&wanted)), key(false), "whoever came first holds it");
        assert_eq!(refused(held.planned_by(&wanted, true)), key(false), "adoption takes nothing from our own");
    }
    let both = |other| Object::new("Opaque", &[("k", "1")]).applied(other, &["k"], false).applied(ME, &["k"], false);
    assert_eq!(refused(both(OLDER).planned(&wanted)), key(true), "the younger gives up");
    assert_eq!(both(YOUNGER).planned(&wanted), Plan::Keep);
}

#[test]
fn a_key_of_somebody_else_is_not_taken_by_joining() {
    let wanted = desired(None, &[("k", "1")]);
    for uid in [OLDER, GONE] {
        let object = Object::new("Opaque", &[("a", "1"), ("k", "0")]).applied(uid, &["a"], false).part(
            "kubectl",
            "Update",
            &["k"],
            false,
        );
        assert!(matches!(refused(object.planned(&wanted)), Refusal::ForeignKey { key, .. } if key == "k"), "{uid}");
        assert!(matches!(object.planned_by(&wanted, true), Plan::Apply { force: true, .. }));
    }
}

#[test]
fn of_two_whose_age_is_not_known_one_gives_up() {
    let both = Object::new("Opaque", &[("k", "1")]).applied(OLDER, &["k"], false).applied(ME, &["k"], false);
    let observed = Observed::read(TargetKind::Secret, both.0.to_string().as_bytes()).unwrap();
    let unknown = |_: &str| Some(Peer { shown: "elsewhere".into(), created: None });
    let (created, wanted) = (at(5), desired(None, &[("k", "1")]));
    let of = |uid| plan(&Me { uid, created: Some(&created), adopts: false }, &wanted, Some(&observed), &unknown);
    assert_eq!(of(ME), Plan::Keep);
    assert!(matches!(of(OLDER), Plan::Refuse(Refusal::Key { give_up: true, .. })));
}

#[test]
fn whoever_is_gone_holds_nothing() {
    let wanted = desired(None, &[("k", "1")]);
    let taken = Plan::Apply { force: true, resource_version: "7".into(), evict: vec![GONE.into()] };
    let alone = Object::new("Opaque", &[("k", "0")]).applied(GONE, &["k"], false);
    assert_eq!(alone.planned(&wanted), taken, "what was made for one that is gone was made by us");
    let shared =
        Object::new("Opaque", &[("k", "0"), ("a", "1")]).applied(GONE, &["k"], false).applied(OLDER, &["a"], false);
    assert_eq!(shared.planned(&wanted), taken);
    let right =
        Object::new("Opaque", &[("k", "1"), ("a", "1")]).applied(ME, &["k"], false).applied(GONE, &["a"], false);
    assert_eq!(right.planned(&wanted), taken, "its part goes although this one's is right");
    let typed = Object::new("x/y", &[("a", "0"), ("k", "1")]).applied(GONE, &["a"], true).applied(ME, &["k"], false);
    assert!(matches!(typed.planned(&desired(Some("Opaque"), &[("k", "1")])), Plan::Recreate));
}

#[test]
fn another_type_is_made_anew_and_keeps_other_peoples_labels() {
    let object =
        Object::new("Opaque", &[("k", "1")]).applied(ME, &["k"], false).label("theirs", "x").annotation("note", "y");
    let plan = object.planned(&desired(Some("kubernetes.io/tls"), &[("tls.crt", "c"), ("tls.key", "k")]));
    assert_eq!(plan, Plan::Recreate);
    let back = Object::new("kubernetes.io/tls", &[("tls.crt", "c")]).applied(ME, &["tls.crt"], true);
    assert!(
        matches!(back.planned(&desired(None, &[("k", "1")])), Plan::Recreate),
        "the type was taken out of the spec"
    );
}

#[test]
fn another_type_takes_no_keys_and_no_type_from_anybody() {
    let wanted = desired(Some("kubernetes.io/tls"), &[("tls.crt", "c"), ("tls.key", "k")]);
    let foreign = Object::new("Opaque", &[("k", "1"), ("x", "1")]).applied(ME, &["k"], false).part(
        "kubectl",
        "Update",
        &["x"],
        false,
    );
    assert!(matches!(refused(foreign.planned(&wanted)), Refusal::ForeignKeys { keys, .. } if keys == "x"));
    let typed = Object::new("x/y", &[("a", "1"), ("k", "1")]).applied(OLDER, &["a"], true).applied(ME, &["k"], false);
    assert!(matches!(refused(typed.planned(&wanted)), Refusal::Type { other, .. } if other == "shop/other"));
    let untyped =
        Object::new("Opaque", &[("a", "1"), ("k", "1")]).applied(OLDER, &["a"], false).applied(ME, &["k"], false);
    assert!(
        matches!(untyped.planned(&wanted), Plan::Recreate),
        "who names no type has none to lose, and writes its keys anew"
    );
}

#[test]
fn whoever_names_no_type_takes_any() {
    let tls = Object::new("kubernetes.io/tls", &[("tls.crt", "c"), ("tls.key", "k")]).applied(
        OLDER,
        &["tls.crt", "tls.key"],
        true,
    );
    assert_eq!(tls.planned(&desired(None, &[("extra", "1")])), apply(false));
    let left = Object::new("kubernetes.io/tls", &[("tls.crt", "c")]).owner(ME).part(
        "azure-keyvault-controller",
        "Update",
        &["tls.crt"],
        true,
    );
    assert_eq!(left.planned(&desired(Some("kubernetes.io/tls"), &[("tls.crt", "c"), ("tls.key", "k")])), apply(true));
}

#[test]
fn what_somebody_else_wrote_too_is_made_ours_alone() {
    let object = Object::new("Opaque", &[("k", "1")]).applied(ME, &["k"], false).part(
        "azure-keyvault-controller",
        "Update",
        &["k"],
        false,
    );
    let expected = Plan::Apply { force: true, resource_version: "7".into(), evict: Vec::new() };
    assert_eq!(object.planned(&desired(None, &[("k", "1")])), expected);
    let applied =
        Object::new("Opaque", &[("k", "1")]).applied(ME, &["k"], false).part("argocd", "Apply", &["k"], false);
    assert_eq!(applied.planned(&desired(None, &[("k", "1")])), Plan::Keep, "who applies has said that it wants it");
}

#[test]
fn another_type_of_what_was_never_written_takes_no_keys() {
    let left = Object::new("Opaque", &[("k", "1"), ("x", "1")]).owner(ME).part("somebody", "Update", &["k", "x"], true);
    let wanted = desired(Some("kubernetes.io/tls"), &[("tls.crt", "c"), ("tls.key", "k")]);
    for adopts in [false, true] {
        let refusal = refused(left.planned_by(&wanted, adopts));
        assert!(matches!(refusal, Refusal::ForeignKeys { keys, .. } if keys == "k, x"));
    }
}

#[test]
fn a_config_map_has_no_type() {
    let mut wanted = desired(None, &[("k", "1")]);
    wanted.target.kind = TargetKind::ConfigMap;
    let answer = json!({
        "metadata": {"uid": "s", "resourceVersion": "7"}, "data": {"k": "1"}, "binaryData": {"b": "AA=="},
    });
    let observed = Observed::read(TargetKind::ConfigMap, answer.to_string().as_bytes()).unwrap();
    let plan = plan(&Me { uid: ME, created: None, adopts: true }, &wanted, Some(&observed), &peer);
    assert_eq!(plan, apply(true));
}
