//! What a patch makes of an object. Pure.

use serde_json::{Map, Value, json};

/// A merge patch (RFC 7396).
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, value) in members {
        if value.is_null() {
            target.as_object_mut().map(|target| target.remove(name));
        } else {
            merge(&mut target[name], value);
        }
    }
}

/// Places whose members have owners.
const OWNED: [&[&str]; 3] = [&["data"], &["metadata", "labels"], &["metadata", "annotations"]];

/// Server-side apply, as of somebody who forces it: what `manager` applied before and does not any more goes, unless
/// somebody else owns it too.
pub(super) fn apply(object: &mut Value, manager: &str, body: &Value) {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let (own, others): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry["manager"] == manager && entry["operation"] == "Apply");
    for place in OWNED {
        let owns = |entries: &[Value], member: &str| {
            entries.iter().any(|entry| !fields(&entry["fieldsV1"], place)[format!("f:{member}")].is_null())
        };
        let names: Vec<String> = members(at(object, place)).map(str::to_owned).collect();
        for name in names {
            if owns(&own, &name) && !owns(&others, &name) && at(body, place)[&name].is_null() {
                let place = place.iter().fold(&mut *object, |value, part| &mut value[*part]);
                place.as_object_mut().map(|place| place.remove(&name));
            }
        }
    }
    merge(object, body);
    let entry = json!({ "manager": manager, "operation": "Apply", "fieldsV1": owned(body) });
    object["metadata"]["managedFields"] = others.into_iter().chain([entry]).collect();
}

/// What whoever sends `body` owns, as `managedFields` name it.
pub(super) fn owned(body: &Value) -> Value {
    let mut fields = json!({});
    for place in OWNED {
        let names: Map<String, Value> = members(at(body, place)).map(|name| (format!("f:{name}"), json!({}))).collect();
        if !names.is_empty() {
            *place.iter().fold(&mut fields, |value, part| &mut value[format!("f:{part}")]) = Value::Object(names);
        }
    }
    fields
}

fn at<'a>(value: &'a Value, place: &[&str]) -> &'a Value {
    place.iter().fold(value, |value, part| &value[*part])
}

fn fields<'a>(fields: &'a Value, place: &[&str]) -> &'a Value {
    place.iter().fold(fields, |value, part| &value[format!("f:{part}")])
}

fn members(map: &Value) -> impl Iterator<Item = &str> {
    map.as_object().into_iter().flatten().map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_no_more_goes_and_what_others_own_stays() {
        let mut object = json!({"data": {"theirs": "1", "both": "1"}, "metadata": {"managedFields": [
            {"manager": "them", "operation": "Update", "fieldsV1": {"f:data": {"f:theirs": {}, "f:both": {}}}}]}});
        let body = json!({"data": {"both": "2", "ours": "2"}, "metadata": {"labels": {"a": "b"}}});
        apply(&mut object, "us", &body);
        assert_eq!(object["data"], json!({"theirs": "1", "both": "2", "ours": "2"}));
        let fields = &object["metadata"]["managedFields"][1];
        assert_eq!(fields["fieldsV1"]["f:data"], json!({"f:both": {}, "f:ours": {}}));
        assert_eq!(fields["fieldsV1"]["f:metadata"], json!({"f:labels": {"f:a": {}}}));
        apply(&mut object, "us", &json!({"data": {"new": "3"}}));
        assert_eq!(object["data"], json!({"theirs": "1", "both": "2", "new": "3"}));
        assert_eq!(object["metadata"]["labels"], json!({}));
        assert_eq!(object["metadata"]["managedFields"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_merge_removes_what_is_null_and_leaves_the_rest() {
        let mut object = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        merge(&mut object, &json!({"a": {"b": null, "c": [3]}, "e": {"f": 1}}));
        assert_eq!(object, json!({"a": {"c": [3]}, "d": 1, "e": {"f": 1}}));
    }
}
