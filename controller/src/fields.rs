//! Who owns what of an object: its `managedFields`, read. Pure.
//!
//! Source: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

/// What the field manager of every `AzureKeyVaultSecret` begins with; its UID follows.
const PREFIX: &str = "keyward-";
/// The length of a UID.
const UID_LENGTH: usize = 36;

/// The field manager of the `AzureKeyVaultSecret` with this UID. Each has its own: a shared one would drop the keys of the
/// others at each apply.
pub fn manager_of(uid: &str) -> String {
    format!("{PREFIX}{uid}")
}

/// The UID that a field manager is of.
pub fn uid_of(manager: &str) -> Option<&str> {
    manager.strip_prefix(PREFIX).filter(|uid| uid.len() == UID_LENGTH)
}

/// One manager's part in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub manager: String,
    /// Whether it applies (server-side apply) rather than updates.
    pub applies: bool,
    /// The keys of `data` that it owns.
    pub data: BTreeSet<String>,
    /// The labels that it owns.
    pub labels: BTreeSet<String>,
    /// The annotations that it owns.
    pub annotations: BTreeSet<String>,
    /// The UIDs of the owner references that it owns.
    pub owners: BTreeSet<String>,
    /// Whether it owns `type`.
    pub owns_type: bool,
}

impl Part {
    /// The UID of the `AzureKeyVaultSecret` that this is the part of.
    pub fn uid(&self) -> Option<&str> {
        uid_of(&self.manager).filter(|_| self.applies)
    }

    /// Whether it owns nothing but, perhaps, the type, which the last owner of a typed Secret cannot give up.
    pub fn is_given_up(&self) -> bool {
        self.data.is_empty() && self.labels.is_empty() && self.annotations.is_empty() && self.owners.is_empty()
    }
}

/// Every manager's part, in the object's order. Status and other subresources are passed over.
pub fn parts(entries: &[ManagedFieldsEntry]) -> Vec<Part> {
    entries.iter().filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty()).map(part).collect()
}

fn part(entry: &ManagedFieldsEntry) -> Part {
    let empty = Value::Null;
    let fields = entry.fields_v1.as_ref().map_or(&empty, |fields| &fields.0);
    let metadata = &fields["f:metadata"];
    Part {
        manager: entry.manager.clone().unwrap_or_default(),
        applies: entry.operation.as_deref() == Some("Apply"),
        data: names(&fields["f:data"]),
        labels: names(&metadata["f:labels"]),
        annotations: names(&metadata["f:annotations"]),
        owners: owners(&metadata["f:ownerReferences"]),
        owns_type: !fields["f:type"].is_null(),
    }
}

/// The entries without what other people's updates own of `ours` too; `None` where they own nothing of it.
///
/// Whoever writes by update, as akv2k8s did, keeps a hand on every field it ever set, and an apply that gives such a field
/// up would leave it. Rewriting `managedFields` is how the API lets a field's owner be changed:
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields>
pub fn disowned(entries: &[ManagedFieldsEntry], ours: &Part) -> Option<Vec<ManagedFieldsEntry>> {
    let mut entries = entries.to_vec();
    let mut changed = false;
    for entry in entries.iter_mut().filter(|entry| is_others_update(&part(entry))) {
        let Some(fields) = entry.fields_v1.as_mut().map(|fields| &mut fields.0) else { continue };
        let mut drop = |path: &[&str], names: &mut dyn Iterator<Item = String>| {
            let map = path.iter().try_fold(&mut *fields, |fields, name| fields.get_mut(*name));
            let Some(map) = map.and_then(Value::as_object_mut) else { return };
            names.for_each(|name| changed |= map.remove(&name).is_some());
        };
        drop(&["f:data"], &mut ours.data.iter().map(|key| format!("f:{key}")));
        drop(&["f:metadata", "f:labels"], &mut ours.labels.iter().map(|key| format!("f:{key}")));
        drop(&["f:metadata", "f:ownerReferences"], &mut ours.owners.iter().map(|uid| owner_key(uid)));
        if ours.owns_type {
            drop(&[], &mut std::iter::once("f:type".to_owned()));
        }
    }
    changed.then_some(entries)
}

/// Whether [`disowned`] would change anything.
pub fn is_shared_with_updates(parts: &[Part], ours: &Part) -> bool {
    parts.iter().filter(|part| is_others_update(part)).any(|part| {
        !part.data.is_disjoint(&ours.data)
            || !part.labels.is_disjoint(&ours.labels)
            || !part.owners.is_disjoint(&ours.owners)
            || (part.owns_type && ours.owns_type)
    })
}

fn is_others_update(part: &Part) -> bool {
    !part.applies && uid_of(&part.manager).is_none()
}

fn owner_key(uid: &str) -> String {
    format!("k:{}", serde_json::json!({"uid": uid}))
}

/// The members of a map: `f:NAME`.
fn names(fields: &Value) -> BTreeSet<String> {
    let members = fields.as_object().into_iter().flatten();
    members.filter_map(|(name, _)| name.strip_prefix("f:")).map(str::to_owned).collect()
}

/// The members of the list of owners, which is keyed by UID: `k:{"uid":"…"}`.
fn owners(fields: &Value) -> BTreeSet<String> {
    let keys = fields.as_object().into_iter().flatten().filter_map(|(name, _)| name.strip_prefix("k:"));
    keys.filter_map(|key| Some(serde_json::from_str::<Value>(key).ok()?["uid"].as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const UID: &str = "3f1c2d8e-0000-4000-8000-000000000001";

    fn read(entries: Value) -> Vec<Part> {
        parts(&serde_json::from_value::<Vec<ManagedFieldsEntry>>(entries).unwrap())
    }

    #[test]
    fn a_part_tells_keys_labels_owners_and_type() {
        let fields = json!({
            "f:data": {"f:tls.crt": {}, "f:tls.key": {}},
            "f:metadata": {
                "f:labels": {"f:app.kubernetes.io/managed-by": {}},
                "f:ownerReferences": {format!("k:{{\"uid\":\"{UID}\"}}"): {}},
            },
            "f:type": {},
        });
        let parts = read(
            json!([{"manager": manager_of(UID), "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields}]),
        );
        let part = &parts[0];
        assert_eq!(part.uid(), Some(UID));
        assert_eq!(part.data.iter().collect::<Vec<_>>(), ["tls.crt", "tls.key"]);
        assert_eq!(part.owners.iter().collect::<Vec<_>>(), [UID]);
        assert!(part.owns_type && part.labels.contains("app.kubernetes.io/managed-by") && !part.is_given_up());
    }

    #[test]
    fn who_updates_or_is_named_otherwise_is_no_secret_of_ours() {
        let entry = |manager: &str, operation: &str| json!({"manager": manager, "operation": operation});
        let parts = read(json!([
            entry(&manager_of(UID), "Update"),
            entry("keyward-controller", "Apply"),
            entry("kubectl-edit", "Update"),
            {"manager": manager_of(UID), "operation": "Apply", "subresource": "status"},
        ]));
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.uid().is_none() && part.is_given_up()));
    }

    #[test]
    fn updates_of_others_lose_what_is_ours_and_nothing_else() {
        let owner = format!("k:{{\"uid\":\"{UID}\"}}");
        let left = json!({
            "f:data": {"f:k": {}, "f:theirs": {}}, "f:type": {},
            "f:metadata": {"f:labels": {"f:left": {}}, "f:ownerReferences": {owner.clone(): {}, "k:{\"uid\":\"other\"}": {}}},
        });
        let mine = json!({"f:data": {"f:k": {}}, "f:type": {}, "f:metadata": {"f:ownerReferences": {owner: {}}}});
        let entries: Vec<ManagedFieldsEntry> = serde_json::from_value(json!([
            {"manager": "azure-keyvault-controller", "operation": "Update", "fieldsV1": left},
            {"manager": "argocd", "operation": "Apply", "fieldsV1": mine},
            {"manager": manager_of(UID), "operation": "Apply", "fieldsV1": mine},
        ]))
        .unwrap();
        let read = parts(&entries);
        assert!(is_shared_with_updates(&read, &read[2]));
        let after = disowned(&entries, &read[2]).unwrap();
        assert_eq!(after[1..], entries[1..], "who applies has said that it wants the field");
        let theirs = &parts(&after)[0];
        assert_eq!(theirs.data.iter().collect::<Vec<_>>(), ["theirs"]);
        assert_eq!(theirs.owners.iter().collect::<Vec<_>>(), ["other"]);
        assert!(theirs.labels.contains("left") && !theirs.owns_type);
        assert_eq!(disowned(&after, &read[2]), None);
        assert!(!is_shared_with_updates(&parts(&after), &read[2]));
    }

    #[test]
    fn fields_that_make_no_sense_own_nothing() {
        for fields in [json!(null), json!([]), json!({"f:data": 7, "f:metadata": {"f:ownerReferences": {"k:{": {}}}})] {
            let parts = read(json!([{"manager": "x", "operation": "Apply", "fieldsV1": fields}]));
            assert!(parts[0].is_given_up());
        }
    }
}
