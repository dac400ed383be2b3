use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;
use crate::binding::start::LAUNCHING;

/// 2026-01-01T00:00:00Z
const NEW_YEAR: i64 = 1_767_225_600;

fn parse(pod: &Value) -> Result<Pod, NoPod> {
    Pod::parse(&pod.to_string())
}

fn with_spec(spec: &Value) -> Pod {
    parse(&json!({"metadata": {"uid": "u-1"}, "spec": spec})).unwrap()
}

fn with_status(status: &Value) -> Pod {
    let metadata = json!({"uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z"});
    let spec = json!({"containers": [{"name": "app", "env": [{"name": "A", "value": "a@azurekeyvault"}]}]});
    parse(&json!({"metadata": metadata, "spec": spec, "status": status})).unwrap()
}

fn references(texts: &[&str]) -> Vec<Reference> {
    texts.iter().map(|text| Reference::parse(text).unwrap().unwrap()).collect()
}

/// Of these, what the container of `env` carries.
fn carried(env: &Value, asked: &[&str]) -> Vec<String> {
    let pod = with_spec(&json!({"containers": [{"name": "app", "env": env}]}));
    let asked = references(asked);
    let lacking = pod.lacking(Some("app"), &asked);
    asked.iter().filter(|reference| !lacking.contains(reference)).map(ToString::to_string).collect()
}

fn at(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.cast_unsigned())
}

#[test]
fn a_container_carries_its_literals_and_what_the_webhook_listed() {
    let env = json!([
        {"name": "DB", "value": "db@azurekeyvault?username"},
        {"name": "URL", "value": "https://x@azurekeyvault.example"},
        {"name": "BUILT", "value": "$(STAGE)-db@azurekeyvault"},
        {"name": "FROM", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}},
        {"name": "KEYWARD_REFERENCES", "value": "api,tls?tls.crt,prod-db,NOT A NAME,,?"},
    ]);
    for (asked, expected) in [
        ("db@azurekeyvault?username", true),
        ("api@azurekeyvault", true),
        ("tls@azurekeyvault?tls.crt", true),
        ("prod-db@azurekeyvault", true),
        // As it stands, and not a part of it or more than it.
        ("db@azurekeyvault", false),
        ("db@azurekeyvault?password", false),
        ("tls@azurekeyvault", false),
        ("tls@azurekeyvault?tls.key", false),
        ("api@azurekeyvault?key", false),
        ("x@azurekeyvault", false),
        ("stage-db@azurekeyvault", false),
    ] {
        assert_eq!(carried(&env, &[asked]).len() == 1, expected, "{asked}");
    }
}

#[test]
fn an_empty_query_is_the_whole_and_the_whole_is_no_query() {
    let env = json!([{"name": "DB", "value": "db@azurekeyvault?"}]);
    assert_eq!(carried(&env, &["db@azurekeyvault", "db@azurekeyvault?a"]), ["db@azurekeyvault"]);
}

#[test]
fn of_several_lists_the_last_counts_also_where_it_is_empty() {
    let listed = |values: &[Value]| {
        let list = |value: &Value| json!({"name": "KEYWARD_REFERENCES", "value": value});
        carried(&values.iter().map(list).collect(), &["a@azurekeyvault", "b@azurekeyvault"])
    };
    assert_eq!(listed(&[json!("a"), json!("b")]), ["b@azurekeyvault"]);
    assert_eq!(listed(&[json!("a,b")]), ["a@azurekeyvault", "b@azurekeyvault"]);
    assert!(listed(&[json!("a,b"), json!("")]).is_empty());
    assert!(listed(&[json!("a"), Value::Null]).is_empty());
}

#[test]
fn each_kind_of_container_has_its_own_and_none_another_s() {
    let one = |name: &str| json!({"name": name, "env": [{"name": "A", "value": format!("{name}@azurekeyvault")}]});
    let pod = with_spec(&json!({
        "initContainers": [one("init"), one("sidecar")],
        "containers": [one("app"), {"name": "bare"}, {"name": "null", "env": null}],
        "ephemeralContainers": [one("debug")],
    }));
    let own = ["init", "sidecar", "app", "debug"];
    for container in own.into_iter().chain(["bare", "null"]) {
        assert!(pod.has(container), "{container}");
        for of in own {
            let asked = references(&[&format!("{of}@azurekeyvault")]);
            assert_eq!(pod.lacking(Some(container), &asked).is_empty(), container == of, "{container} {of}");
        }
    }
    assert!(!pod.has("other") && !pod.has(""));
    let asked = references(&["init@azurekeyvault", "debug@azurekeyvault", "other@azurekeyvault"]);
    assert_eq!(pod.lacking(None, &asked), [&asked[2]]);
    assert_eq!(pod.lacking(Some("other"), &asked).len(), 3);
}

#[test]
fn a_pod_tells_names_if_any_of_its_launchers_was_told() {
    let told = json!({"name": "app", "env": [{"name": "KEYWARD_CONTAINER", "value": "app"}]});
    assert!(with_spec(&json!({"containers": [{"name": "x"}, told]})).tells_names());
    assert!(with_spec(&json!({"initContainers": [told], "containers": [{"name": "x"}]})).tells_names());
    assert!(!with_spec(&json!({"containers": [{"name": "x", "env": [{"name": "OTHER"}]}]})).tells_names());
}

#[test]
fn the_latest_start_is_shown_whatever_state_it_is_in() {
    let running = json!({"running": {"startedAt": "2026-01-01T00:00:10Z"}});
    let terminated = json!({"terminated": {"startedAt": "2026-01-01T00:00:05+00:00", "exitCode": 1}});
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let never = json!({"terminated": {"startedAt": null, "exitCode": 128}});
    for (state, last, restarts, expected, is_running) in [
        (&running, &json!({}), 0, Some(NEW_YEAR + 10), true),
        (&running, &terminated, 3, Some(NEW_YEAR + 10), true),
        (&terminated, &json!({}), 0, Some(NEW_YEAR + 5), false),
        (&waiting, &terminated, 2, Some(NEW_YEAR + 5), false),
        (&waiting, &json!({}), 0, None, false),
        (&never, &json!({}), 0, None, false),
        (&json!({}), &Value::Null, 0, None, false),
        (&Value::Null, &json!({}), 0, None, false),
    ] {
        let status = json!({"name": "app", "restartCount": restarts, "state": state, "lastState": last});
        for list in ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"] {
            let pod = with_status(&json!({list: [{"name": "other", "restartCount": 9}, status]}));
            let shown = pod.shown("app", at(NEW_YEAR));
            assert_eq!(shown.start, Start { restarts, began: expected }, "{state} {last}");
            assert_eq!((shown.is_running, shown.is_over), (is_running, false), "{state} {last}");
        }
    }
    for status in [json!({}), Value::Null, json!({"containerStatuses": null}), json!({"containerStatuses": []})] {
        assert_eq!(with_status(&status).shown("app", at(NEW_YEAR)), Shown::default(), "{status}");
    }
}

#[test]
fn a_pod_is_launching_while_a_container_with_references_may_be() {
    let state = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    let pod = with_status(&json!({"containerStatuses": [{"name": "app", "restartCount": 0, "state": state}]}));
    let end = NEW_YEAR + LAUNCHING.as_secs().cast_signed();
    assert!(pod.is_launching(at(end - 1)) && !pod.is_launching(at(end)));
    assert!(pod.shown("app", at(end)).is_over);
    assert!(with_status(&json!({})).is_launching(at(end)), "nothing is shown yet");
    assert!(!with_spec(&json!({"containers": [{"name": "app"}]})).is_launching(at(0)), "nothing is carried");
}

#[test]
fn a_pod_that_has_ended_says_so() {
    for (phase, ended) in
        [("Pending", false), ("Running", false), ("Unknown", false), ("Succeeded", true), ("Failed", true)]
    {
        assert_eq!(with_status(&json!({"phase": phase})).has_ended, ended, "{phase}");
    }
}

#[test]
fn what_is_not_looked_at_may_be_anything() {
    let pod = json!({
        "kind": 7, "metadata": {"uid": "u-1", "labels": [1], "managedFields": {"deep": [[[[]]]]}},
        "spec": {"containers": [{"name": "app", "image": {}, "env": [{"name": "A", "value": "b", "valueFrom": 3}]}], "volumes": 1},
    });
    assert!(parse(&pod).is_ok());
}

#[test]
fn what_is_looked_at_must_be_what_it_should_be() {
    let metadata = json!({"uid": "u-1"});
    let app = |env: Value| json!({"containers": [{"name": "app", "env": env}]});
    let status = |of: Value| json!({"metadata": metadata, "spec": {}, "status": {"containerStatuses": [of]}});
    for hostile in [
        json!(null),
        json!([]),
        json!({}),
        json!({"metadata": {}, "spec": {}}),
        json!({"metadata": {"uid": 7}, "spec": {}}),
        json!({"metadata": {"uid": "u", "creationTimestamp": "yesterday"}, "spec": {}}),
        json!({"metadata": metadata}),
        json!({"metadata": metadata, "spec": []}),
        json!({"metadata": metadata, "spec": app(json!({}))}),
        json!({"metadata": metadata, "spec": app(json!([{"value": "x"}]))}),
        json!({"metadata": metadata, "spec": app(json!([{"name": "A", "value": 1}]))}),
        json!({"metadata": metadata, "spec": {"containers": [{"env": []}]}}),
        status(json!({"restartCount": 0})),
        status(json!({"name": "app", "restartCount": -1})),
        status(json!({"name": "app", "restartCount": 1_u64 << 32})),
        status(json!({"name": "app", "state": {"running": {"startedAt": "99999-01-01T00:00:00Z"}}})),
        status(json!({"name": "app", "state": {"running": {"startedAt": 5}}})),
        status(json!({"name": "app", "lastState": {"terminated": {"startedAt": ""}}})),
    ] {
        assert_eq!(parse(&hostile), Err(NoPod), "{hostile}");
    }
    let deep = format!(r#"{{"metadata": {{"uid": "u", "x": {}}}"#, "[".repeat(100_000));
    assert_eq!(Pod::parse(&deep), Err(NoPod));
    assert_eq!(Pod::parse(r#"{"metadata": {"uid": "a", "uid": "b"}, "spec": {}}"#), Err(NoPod), "one of two");
}
