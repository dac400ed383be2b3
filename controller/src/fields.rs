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
    fn fields_that_make_no_sense_own_nothing() {
        for fields in [json!(null), json!([]), json!({"f:data": 7, "f:metadata": {"f:ownerReferences": {"k:{": {}}}})] {
            let parts = read(json!([{"manager": "x", "operation": "Apply", "fieldsV1": fields}]));
            assert!(parts[0].is_given_up());
        }
    }
}
