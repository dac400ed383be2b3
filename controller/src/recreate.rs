//! Making an object anew where the API lets nobody change it: a Secret's type, and the keys that a typed one must have.
//!
//! Whatever is to stay comes back with the very request that makes it: other people's labels and annotations, and the keys
//! of other `AzureKeyVaultSecret`s, which could perhaps not be fetched now. Those are then applied by their own managers.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use keyward_types::SecretBytes;
use serde::Serialize;

use crate::{
    akvs::Akvs,
    desired::{Data, Desired, MANAGED_BY, OPAQUE, owner_reference},
    fields::Part,
    objects::{CONTROLLER, ObjectError, Objects},
    own,
    plan::Observed,
    target::Target,
};

/// Deletes what was observed, and makes it anew without the part of the `AzureKeyVaultSecret` with the UID `without`; with
/// what `ours` desires, where there is such a one.
pub async fn recreate(
    objects: &Objects,
    target: &Target,
    observed: &Observed,
    without: &str,
    ours: Option<(&Akvs, &Desired)>,
) -> Result<(), ObjectError> {
    let remade = Remade::new(target, observed, without, ours);
    objects.delete(target, &observed.uid, &observed.resource_version).await?;
    if remade.data.is_empty() {
        return Ok(());
    }
    objects.create(target, CONTROLLER, &remade.body()).await?;
    for (uid, part) in kept(observed, without) {
        own::apply(objects, target, uid, true, &remade.part(uid, part)).await?;
    }
    Ok(())
}

/// The parts of other `AzureKeyVaultSecret`s.
fn kept<'a>(observed: &'a Observed, without: &'a str) -> impl Iterator<Item = (&'a str, &'a Part)> {
    let parts = observed.parts.iter().filter(|part| !part.is_given_up());
    parts.filter_map(|part| Some((part.uid()?, part))).filter(move |(uid, _)| *uid != without)
}

/// The object as it is to be made.
struct Remade<'a> {
    target: &'a Target,
    secret_type: Option<&'a str>,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, &'a str>,
    owners: Vec<OwnerReference>,
    data: BTreeMap<&'a str, &'a SecretBytes>,
}

impl<'a> Remade<'a> {
    fn new(target: &'a Target, observed: &'a Observed, without: &str, ours: Option<(&'a Akvs, &'a Desired)>) -> Self {
        let gone = observed.parts.iter().find(|part| part.uid() == Some(without));
        let stays = |owned: fn(&Part) -> &std::collections::BTreeSet<String>, key: &str| {
            gone.is_none_or(|gone| !owned(gone).contains(key))
        };
        let text = |(key, value): (&'a String, &'a String)| (key.as_str(), value.as_str());
        let mut labels: BTreeMap<_, _> =
            observed.labels.iter().map(text).filter(|(key, _)| stays(|part| &part.labels, key)).collect();
        let mut annotations: BTreeMap<_, _> =
            observed.annotations.iter().map(text).filter(|(key, _)| stays(|part| &part.annotations, key)).collect();
        let mut owners: Vec<_> =
            observed.owner_references.iter().filter(|owner| owner.uid != without).cloned().collect();
        let mut data: BTreeMap<_, _> = observed.data.iter().map(|(key, value)| (key.as_str(), value)).collect();
        data.retain(|key, _| kept(observed, without).any(|(_, part)| part.data.contains(*key)));
        let of_others = kept(observed, without).any(|(_, part)| part.owns_type);
        let mut secret_type = observed.secret_type.as_deref().filter(|_| of_others);
        labels.insert(MANAGED_BY.0, MANAGED_BY.1);
        if let Some((akvs, desired)) = ours {
            labels.extend(desired.labels.iter().map(text));
            annotations.extend(desired.annotations.iter().map(text));
            owners.push(owner_reference(akvs));
            data.extend(desired.data.iter().map(|(key, value)| (key.as_str(), value)));
            secret_type = desired.secret_type.as_deref().or(secret_type);
        }
        Self { target, secret_type: secret_type.or(Some(OPAQUE)), labels, annotations, owners, data }
    }

    fn body(&self) -> Body<'_> {
        let metadata = Metadata {
            name: &self.target.name,
            namespace: &self.target.namespace,
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            owner_references: self.owners.clone(),
        };
        let secret_type = self.secret_type;
        Body { api_version: "v1", kind: self.target.kind.as_str(), metadata, secret_type, data: self.data(|_| true) }
    }

    /// What another one applies: its own part, as it was.
    fn part(&self, uid: &str, part: &Part) -> Body<'_> {
        let chosen = |all: &BTreeMap<&'a str, &'a str>, keys: &std::collections::BTreeSet<String>| {
            all.iter().filter(|(key, _)| keys.contains(**key)).map(|(key, value)| (*key, *value)).collect()
        };
        let metadata = Metadata {
            name: &self.target.name,
            namespace: &self.target.namespace,
            labels: chosen(&self.labels, &part.labels),
            annotations: chosen(&self.annotations, &part.annotations),
            owner_references: self.owners.iter().filter(|owner| owner.uid == uid).cloned().collect(),
        };
        Body {
            api_version: "v1",
            kind: self.target.kind.as_str(),
            metadata,
            secret_type: self.secret_type.filter(|_| part.owns_type),
            data: self.data(|key| part.data.contains(key)),
        }
    }

    fn data(&self, chosen: impl Fn(&str) -> bool) -> Data<'_> {
        let data = self.data.iter().filter(|(key, _)| chosen(key)).map(|(key, value)| (*key, *value));
        Data::new(self.target.kind, data)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    secret_type: Option<&'a str>,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owner_references: Vec<OwnerReference>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{fields::manager_of, target::TargetKind};

    const ONE: &str = "3f1c2d8e-0000-4000-8000-000000000001";
    const TWO: &str = "3f1c2d8e-0000-4000-8000-000000000002";

    fn owner(uid: &str) -> Value {
        json!({"apiVersion": "spv.no/v2beta1", "kind": "AzureKeyVaultSecret", "name": uid, "uid": uid})
    }

    /// One has `a` and the type, two has `b`; a label and an annotation are somebody's.
    fn observed() -> Observed {
        let part = |uid: &str, key: &str| {
            let own = json!({format!("k:{{\"uid\":\"{uid}\"}}"): {}});
            let label = json!({"f:app.kubernetes.io/managed-by": {}, format!("f:label-{key}"): {}});
            let mut fields = json!({"f:data": {format!("f:{key}"): {}}, "f:metadata": {"f:labels": label, "f:ownerReferences": own}});
            if uid == ONE {
                fields["f:type"] = json!({});
            }
            json!({"manager": manager_of(uid), "operation": "Apply", "fieldsV1": fields})
        };
        let answer = json!({
            "metadata": {
                "uid": "s", "resourceVersion": "7", "ownerReferences": [owner(ONE), owner(TWO)],
                "labels": {"app.kubernetes.io/managed-by": "keyward", "label-a": "1", "label-b": "2", "theirs": "x"},
                "annotations": {"note": "y"}, "managedFields": [part(ONE, "a"), part(TWO, "b")],
            },
            "type": "x/y", "data": {"a": "YQ==", "b": "Yg=="},
        });
        Observed::read(TargetKind::Secret, answer.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_not_to_go_comes_back_and_each_part_with_its_manager() {
        let (observed, target) =
            (observed(), Target { kind: TargetKind::Secret, namespace: "shop".into(), name: "db".into() });
        let remade = Remade::new(&target, &observed, ONE, None);
        let body = serde_json::to_value(remade.body()).unwrap();
        assert_eq!((&body["data"], &body["type"]), (&json!({"b": "Yg=="}), &json!("Opaque")));
        assert_eq!(
            body["metadata"]["labels"],
            json!({"app.kubernetes.io/managed-by": "keyward", "label-b": "2", "theirs": "x"})
        );
        assert_eq!(body["metadata"]["annotations"], json!({"note": "y"}));
        assert_eq!(body["metadata"]["ownerReferences"][0]["uid"], TWO);
        let (uid, part) = kept(&observed, ONE).next().unwrap();
        let part = serde_json::to_value(remade.part(uid, part)).unwrap();
        assert_eq!(part["metadata"]["labels"], json!({"app.kubernetes.io/managed-by": "keyward", "label-b": "2"}));
        assert_eq!((part["metadata"].get("annotations"), part.get("type")), (None, None));
    }

    #[test]
    fn ours_takes_the_place_of_what_it_had() {
        let target = Target { kind: TargetKind::Secret, namespace: "shop".into(), name: "db".into() };
        let akvs: Akvs =
            serde_json::from_value(json!({"metadata": {"name": "two", "namespace": "shop", "uid": TWO}})).unwrap();
        let desired = Desired {
            target: target.clone(),
            secret_type: Some("new/type".into()),
            data: BTreeMap::from([("c".to_owned(), SecretBytes::from("c"))]),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        };
        let observed = observed();
        let remade = Remade::new(&target, &observed, TWO, Some((&akvs, &desired)));
        let body = serde_json::to_value(remade.body()).unwrap();
        assert_eq!((&body["data"], &body["type"]), (&json!({"a": "YQ==", "c": "Yw=="}), &json!("new/type")));
        let uids: Vec<_> =
            body["metadata"]["ownerReferences"].as_array().unwrap().iter().map(|owner| &owner["uid"]).collect();
        assert_eq!(uids, [ONE, TWO]);
    }
}
