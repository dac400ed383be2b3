//! Making an object anew where the API lets nobody change it: a Secret's type, and the keys that a typed one must have.
//!
//! Whatever is to stay comes back with the very request that makes it: other people's labels and annotations, and the keys
//! of other `AzureKeyVaultSecret`s, which could perhaps not be fetched now. Those are then applied by their own managers.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    akvs::Akvs,
    desired::{Desired, MANAGED_BY, OPAQUE},
    fields::Part,
    manifest::{Manifest, owner_reference, texts},
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
    let remade = remade(target, observed, without, ours);
    objects.delete(target, &observed.uid, &observed.resource_version).await?;
    if remade.data.is_empty() {
        return Ok(());
    }
    objects.create(target, CONTROLLER, &remade).await?;
    for (uid, part) in kept(observed, without) {
        own::apply(objects, target, uid, true, &part_of(&remade, uid, part)).await?;
    }
    Ok(())
}

/// The parts of other `AzureKeyVaultSecret`s.
fn kept<'a>(observed: &'a Observed, without: &'a str) -> impl Iterator<Item = (&'a str, &'a Part)> {
    let parts = observed.parts.iter().filter(|part| !part.is_given_up());
    parts.filter_map(|part| Some((part.uid()?, part))).filter(move |(uid, _)| *uid != without)
}

/// The object as it is to be made.
fn remade<'a>(
    target: &'a Target,
    observed: &'a Observed,
    without: &str,
    ours: Option<(&Akvs, &'a Desired)>,
) -> Manifest<'a> {
    let gone = observed.parts.iter().find(|part| part.uid() == Some(without));
    let stays = |owned: fn(&Part) -> &BTreeSet<String>, key: &str| gone.is_none_or(|gone| !owned(gone).contains(key));
    let (mut labels, mut annotations) = (texts(&observed.labels), texts(&observed.annotations));
    labels.retain(|key, _| stays(|part| &part.labels, key));
    annotations.retain(|key, _| stays(|part| &part.annotations, key));
    labels.insert(MANAGED_BY.0, MANAGED_BY.1);
    let mut owners: Vec<_> = observed.owner_references.iter().filter(|owner| owner.uid != without).cloned().collect();
    let mut data: BTreeMap<_, _> = observed.data.iter().map(|(key, value)| (key.as_str(), value)).collect();
    data.retain(|key, _| kept(observed, without).any(|(_, part)| part.data.contains(*key)));
    let is_held = kept(observed, without).any(|(_, part)| part.owns_type);
    let mut secret_type = observed.secret_type.as_deref().filter(|_| is_held);
    if let Some((akvs, desired)) = ours {
        labels.extend(texts(&desired.labels));
        annotations.extend(texts(&desired.annotations));
        owners.push(owner_reference(akvs));
        data.extend(desired.data.iter().map(|(key, value)| (key.as_str(), value)));
        secret_type = desired.secret_type.as_deref().or(secret_type);
    }
    Manifest {
        target,
        resource_version: None,
        secret_type: secret_type.or(Some(OPAQUE)),
        labels,
        annotations,
        owners,
        data,
    }
}

/// What another one applies: its own part, as it was.
fn part_of<'a>(whole: &Manifest<'a>, uid: &str, part: &Part) -> Manifest<'a> {
    let mut own = whole.clone();
    own.labels.retain(|key, _| part.labels.contains(*key));
    own.annotations.retain(|key, _| part.annotations.contains(*key));
    own.owners.retain(|owner| owner.uid == uid);
    own.data.retain(|key, _| part.data.contains(*key));
    own.secret_type = own.secret_type.filter(|_| part.owns_type);
    own
}

#[cfg(test)]
mod tests {
    use keyward_types::SecretBytes;
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
        let remade = remade(&target, &observed, ONE, None);
        let body = serde_json::to_value(&remade).unwrap();
        assert_eq!((&body["data"], &body["type"]), (&json!({"b": "Yg=="}), &json!("Opaque")));
        assert_eq!(
            body["metadata"]["labels"],
            json!({"app.kubernetes.io/managed-by": "keyward", "label-b": "2", "theirs": "x"})
        );
        assert_eq!(body["metadata"]["annotations"], json!({"note": "y"}));
        assert_eq!(body["metadata"]["ownerReferences"][0]["uid"], TWO);
        let (uid, part) = kept(&observed, ONE).next().unwrap();
        let part = serde_json::to_value(part_of(&remade, uid, part)).unwrap();
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
        let remade = remade(&target, &observed, TWO, Some((&akvs, &desired)));
        let body = serde_json::to_value(&remade).unwrap();
        assert_eq!((&body["data"], &body["type"]), (&json!({"a": "YQ==", "c": "Yw=="}), &json!("new/type")));
        let uids: Vec<_> =
            body["metadata"]["ownerReferences"].as_array().unwrap().iter().map(|owner| &owner["uid"]).collect();
        assert_eq!(uids, [ONE, TWO]);
    }
}
