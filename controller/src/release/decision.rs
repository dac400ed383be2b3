//! What becomes of one object that somebody gives up. Pure.

use crate::{desired::OPAQUE, fields::Part, plan::Observed};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// There is nothing of theirs, or it is not ours to touch.
    Nothing,
    /// It is theirs alone.
    Delete,
    /// Others have a part in it: only theirs goes.
    GiveUp {
        /// The type to keep, where nobody else keeps it.
        secret_type: Option<String>,
    },
}

/// For one that is there.
pub(super) fn unasked(observed: &Observed, uid: &str) -> Decision {
    let Some(part) = part_of(observed, uid) else { return Decision::Nothing };
    let owned_alone = observed.owners.iter().all(|owner| owner == uid) && observed.owners.contains(uid);
    if owned_alone && others(observed, uid).next().is_none() && is_all_ours(observed) {
        return Decision::Delete;
    }
    give_up(observed, part)
}

/// For one that is gone.
pub(super) fn vanished(observed: &Observed, uid: &str, exists: &dyn Fn(&str) -> bool) -> Decision {
    let Some(part) = part_of(observed, uid) else { return Decision::Nothing };
    // With no owner left it was orphaned on purpose (`kubectl delete --cascade=orphan`) and keeps its data. With none but
    // the vanished, the garbage collector deletes it.
    if observed.owners.is_empty() || !others(observed, uid).filter_map(Part::uid).any(exists) {
        return Decision::Nothing;
    }
    give_up(observed, part)
}

/// Whether no key is somebody else's.
pub(super) fn is_all_ours(observed: &Observed) -> bool {
    let ours = |key: &String| observed.parts.iter().any(|part| part.uid().is_some() && part.data.contains(key));
    observed.data.keys().all(ours)
}

fn part_of<'a>(observed: &'a Observed, uid: &str) -> Option<&'a Part> {
    observed.parts.iter().find(|part| part.uid() == Some(uid)).filter(|part| !part.is_given_up())
}

fn others<'a>(observed: &'a Observed, uid: &'a str) -> impl Iterator<Item = &'a Part> {
    let parts = observed.parts.iter().filter(|part| !part.is_given_up());
    parts.filter(move |part| part.uid().is_some_and(|other| other != uid))
}

fn give_up(observed: &Observed, part: &Part) -> Decision {
    let held_by_another = observed.parts.iter().any(|other| other.owns_type && other != part);
    let secret_type =
        observed.secret_type.as_ref().filter(|found| part.owns_type && !held_by_another && *found != OPAQUE);
    Decision::GiveUp { secret_type: secret_type.cloned() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{fields::manager_of, target::TargetKind};

    const ONE: &str = "3f1c2d8e-0000-4000-8000-000000000001";
    const TWO: &str = "3f1c2d8e-0000-4000-8000-000000000002";

    /// Parts as (manager, keys, owns the type).
    fn observed(secret_type: &str, owners: &[&str], parts: &[(&str, &[&str], bool)]) -> Observed {
        let owner = |uid: &&str| json!({"apiVersion": "spv.no/v2beta1", "kind": "AzureKeyVaultSecret", "name": uid, "uid": uid});
        let entry = |(manager, keys, typed): &(&str, &[&str], bool)| {
            let data: serde_json::Map<String, Value> = keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
            let mut fields = json!({"f:data": data});
            if *typed {
                fields["f:type"] = json!({});
            }
            json!({"manager": manager, "operation": "Apply", "fieldsV1": fields})
        };
        let data: serde_json::Map<String, Value> =
            parts.iter().flat_map(|(_, keys, _)| keys.iter()).map(|key| ((*key).to_owned(), json!(""))).collect();
        let answer = json!({
            "metadata": {
                "uid": "s", "resourceVersion": "1",
                "ownerReferences": owners.iter().map(owner).collect::<Vec<_>>(),
                "managedFields": parts.iter().map(entry).collect::<Vec<_>>(),
            },
            "type": secret_type, "data": data,
        });
        Observed::read(TargetKind::Secret, answer.to_string().as_bytes()).unwrap()
    }

    fn given_up(secret_type: Option<&str>) -> Decision {
        Decision::GiveUp { secret_type: secret_type.map(Into::into) }
    }

    #[test]
    fn what_is_no_longer_asked_for_goes_as_far_as_it_is_its_own() {
        let (one, two) = (manager_of(ONE), manager_of(TWO));
        for (what, object, expected) in [
            ("its alone", observed("Opaque", &[ONE], &[(&one, &["a"], false)]), Decision::Delete),
            ("not its", observed("Opaque", &[TWO], &[(&two, &["b"], false)]), Decision::Nothing),
            (
                "shared",
                observed("Opaque", &[ONE, TWO], &[(&one, &["a"], false), (&two, &["b"], false)]),
                given_up(None),
            ),
            (
                "with foreign keys",
                observed("Opaque", &[ONE], &[(&one, &["a"], false), ("kubectl", &["x"], false)]),
                given_up(None),
            ),
            ("another owner", observed("Opaque", &[ONE, "deployment"], &[(&one, &["a"], false)]), given_up(None)),
            ("not owned", observed("Opaque", &[], &[(&one, &["a"], false)]), given_up(None)),
            (
                "its type alone",
                observed("x/y", &[ONE, TWO], &[(&one, &["a"], true), (&two, &["b"], false)]),
                given_up(Some("x/y")),
            ),
            (
                "its type shared",
                observed("x/y", &[ONE, TWO], &[(&one, &["a"], true), (&two, &["b"], true)]),
                given_up(None),
            ),
            ("given up", observed("x/y", &[TWO], &[(&one, &[], true), (&two, &["b"], false)]), Decision::Nothing),
        ] {
            assert_eq!(unasked(&object, ONE), expected, "{what}");
        }
    }

    #[test]
    fn the_parts_of_the_vanished_go_where_others_remain() {
        let (one, two) = (manager_of(ONE), manager_of(TWO));
        let shared = observed("Opaque", &[ONE, TWO], &[(&one, &["a"], false), (&two, &["b"], false)]);
        assert_eq!(vanished(&shared, ONE, &|uid| uid == TWO), given_up(None));
        let collected = observed("Opaque", &[TWO], &[(&one, &["a"], false), (&two, &["b"], false)]);
        assert_eq!(vanished(&collected, ONE, &|uid| uid == TWO), given_up(None), "the collector took the reference");
        assert_eq!(vanished(&shared, ONE, &|_| false), Decision::Nothing, "nobody is left: it is collected");
        let alone = observed("Opaque", &[ONE], &[(&one, &["a"], false)]);
        assert_eq!(vanished(&alone, ONE, &|_| false), Decision::Nothing);
        let orphaned = observed("Opaque", &[], &[(&one, &["a"], false), (&two, &["b"], false)]);
        assert_eq!(vanished(&orphaned, ONE, &|uid| uid == TWO), Decision::Nothing);
    }
}
