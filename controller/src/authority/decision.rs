//! What to do about one namespace's `ConfigMap`. Pure.

use super::{KEY, MANAGER, NAME, bundle::Bundle};
use crate::{akvs::ADOPT, desired::MANAGED_BY, fields::Part, plan::Observed};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is as it should be.
    Keep,
    /// It does not exist.
    Create,
    /// It is ours, or may be taken over, and is not as it should be.
    Apply {
        /// What was looked at: anything newer is looked at again first.
        resource_version: String,
    },
    /// It is on its way out: its end is told.
    Wait,
    /// It is somebody else's.
    Leave(Foreign),
}

/// Why it is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Foreign {
    /// It was there before.
    #[error(
        "ConfigMap {NAME} was not made by Keyward, so launchers in this namespace may trust no broker or another one; \
         delete it, or annotate it {ADOPT}: \"true\" to have it taken over"
    )]
    NotOurs,
    /// Somebody has taken the key, and would again.
    #[error(
        "key {KEY} of ConfigMap {NAME} is applied by {manager:?} too, so launchers in this namespace may trust no broker \
         or another one; let that leave the key alone, and delete the ConfigMap"
    )]
    Contested {
        /// Its field manager.
        manager: String,
    },
}

/// Decides. What of an object is ours, its `managedFields` say.
pub(super) fn decide(observed: Option<&Observed>, bundle: &Bundle) -> Decision {
    let Some(observed) = observed else { return Decision::Create };
    if observed.deleting {
        return Decision::Wait;
    }
    let ours = observed.parts.iter().find(|part| part.applies && part.manager == MANAGER);
    let adopts = observed.annotations.get(ADOPT).is_some_and(|adopt| adopt == "true");
    // Two who apply would take it from each other forever; an `AzureKeyVaultSecret` at once each time.
    let rival = observed.parts.iter().find(|part| part.applies && part.manager != MANAGER && part.data.contains(KEY));
    if let Some(rival) = rival.filter(|rival| rival.uid().is_some() || (ours.is_some() && !adopts)) {
        return Decision::Leave(Foreign::Contested { manager: rival.manager.clone() });
    }
    if !adopts && ours.is_none_or(Part::is_given_up) {
        return Decision::Leave(Foreign::NotOurs);
    }
    if ours.is_some_and(|ours| is_as_desired(observed, ours, bundle)) {
        return Decision::Keep;
    }
    Decision::Apply { resource_version: observed.resource_version.clone() }
}

fn is_as_desired(observed: &Observed, ours: &Part, bundle: &Bundle) -> bool {
    let published = observed.data.get(KEY).is_some_and(|value| value.expose() == bundle.as_str().as_bytes());
    let labelled = observed.labels.get(MANAGED_BY.0).is_some_and(|value| value == MANAGED_BY.1);
    published && labelled && ours.data.contains(KEY) && ours.labels.contains(MANAGED_BY.0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{fields::manager_of, target::TargetKind};

    const AKVS: &str = "0a1b2c3d-0000-4000-8000-000000000001";

    fn bundle() -> Bundle {
        Bundle::parse(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap()
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "fieldsV1": fields})
    }

    fn ours() -> Value {
        let labels = json!({"f:app.kubernetes.io/managed-by": {}});
        entry(MANAGER, "Apply", &json!({"f:data": {"f:ca.crt": {}}, "f:metadata": {"f:labels": labels}}))
    }

    fn taken(manager: &str, operation: &str) -> Value {
        entry(manager, operation, &json!({"f:data": {"f:ca.crt": {}}}))
    }

    /// As it is when it was just published.
    fn published(entries: &[Value]) -> Value {
        json!({
            "metadata": {"resourceVersion": "7", "labels": {"app.kubernetes.io/managed-by": "keyward"},
                "annotations": {}, "managedFields": entries},
            "data": {"ca.crt": bundle().as_str()},
        })
    }

    fn of(object: &Value) -> Decision {
        let observed = Observed::read(TargetKind::ConfigMap, object.to_string().as_bytes()).unwrap();
        decide(Some(&observed), &bundle())
    }

    fn apply() -> Decision {
        Decision::Apply { resource_version: "7".to_owned() }
    }

    #[test]
    fn what_is_not_there_is_made_and_what_is_right_is_kept() {
        assert_eq!(decide(None, &bundle()), Decision::Create);
        assert_eq!(of(&published(&[ours()])), Decision::Keep);
        let mut more = published(&[ours(), entry("kubectl-edit", "Update", &json!({"f:data": {"f:other": {}}}))]);
        more["data"]["other"] = "theirs".into();
        assert_eq!(of(&more), Decision::Keep);
    }

    #[test]
    fn what_somebody_changed_is_set_right() {
        for (path, value) in [
            ("/data/ca.crt", json!("another")),
            ("/data", json!({})),
            ("/metadata/labels", json!({})),
            ("/metadata/labels/app.kubernetes.io~1managed-by", json!("helm")),
        ] {
            let mut changed = published(&[ours()]);
            *changed.pointer_mut(path).unwrap() = value;
            assert_eq!(of(&changed), apply(), "{path}");
        }
        // Whoever edits takes the field.
        let label = json!({"f:metadata": {"f:labels": {"f:app.kubernetes.io/managed-by": {}}}});
        let edited = [entry(MANAGER, "Apply", &label), taken("kubectl-edit", "Update")];
        assert_eq!(of(&published(&edited)), apply());
    }

    #[test]
    fn what_is_on_its_way_out_is_waited_for() {
        let mut deleting = published(&[]);
        deleting["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert_eq!(of(&deleting), Decision::Wait);
    }

    #[test]
    fn what_is_not_ours_is_left_unless_it_is_to_be_adopted() {
        for entries in [
            vec![],
            vec![taken("kubectl-create", "Update")],
            vec![taken("argocd", "Apply")],
            vec![entry(MANAGER, "Update", &json!({"f:data": {"f:ca.crt": {}}})), taken("x", "Update")],
            vec![entry(MANAGER, "Apply", &json!({}))],
        ] {
            let mut foreign = published(&entries);
            assert_eq!(of(&foreign), Decision::Leave(Foreign::NotOurs), "{entries:?}");
            foreign["metadata"]["annotations"]["keyward.dev/adopt"] = "true".into();
            assert_eq!(of(&foreign), apply(), "{entries:?}");
        }
    }

    #[test]
    fn two_who_apply_do_not_take_it_from_each_other_forever() {
        let rival = |manager: &str| Decision::Leave(Foreign::Contested { manager: manager.to_owned() });
        let mut contested = published(&[ours(), taken("argocd", "Apply")]);
        assert_eq!(of(&contested), rival("argocd"));
        contested["metadata"]["annotations"]["keyward.dev/adopt"] = "true".into();
        assert_eq!(of(&contested), Decision::Keep);
        let output = manager_of(AKVS);
        for entries in [vec![ours(), taken(&output, "Apply")], vec![taken(&output, "Apply")]] {
            let mut object = published(&entries);
            object["metadata"]["annotations"]["keyward.dev/adopt"] = "true".into();
            assert_eq!(of(&object), rival(&output));
        }
    }
}
