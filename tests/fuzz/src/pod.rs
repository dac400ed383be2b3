//! A pod as the API server shows it: its containers carry what it says, and nothing else.

use std::time::{Duration, SystemTime};

use keyward_broker::binding::pod::Pod;
use keyward_types::Reference;
use serde_json::Value;

/// Where no text of a pod has it, no container carries it.
const NEVER_SAID: &str = "q7-never-said";

/// An answer of the API server.
///
/// # Panics
///
/// Where a container carries what the pod does not say.
pub fn pod(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(pod) = Pod::parse(text) else { return };
    assert_eq!(Pod::parse(text).as_ref(), Ok(&pod), "it is read otherwise the second time");
    // Read as a whole, a number may be too large, or a value too deep, that is otherwise passed over.
    if let Ok(body) = serde_json::from_str(text) {
        assert_carries_what_is_said(&pod, &body);
    }
    for seconds in [0, 1_767_225_600, 4_000_000_000] {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let _ = (pod.is_launching(now), pod.shown("app", now));
    }
}

fn assert_carries_what_is_said(pod: &Pod, body: &Value) {
    let mut said = Vec::new();
    texts(body, &mut said);
    let reference = |text: &str| Reference::parse(text).and_then(Result::ok);
    if !said.iter().any(|text| text.contains(NEVER_SAID)) {
        let never = reference(&format!("{NEVER_SAID}@azurekeyvault"));
        assert!(
            never.iter().all(|never| pod.carriers(never).next().is_none()),
            "a reference that the pod does not say"
        );
    }
    let asked: Vec<Reference> = said.into_iter().filter_map(reference).collect();
    let nowhere = pod.lacking(None, &asked);
    for reference in &asked {
        let carriers: Vec<_> = pod.carriers(reference).collect();
        assert_eq!(carriers.is_empty(), nowhere.contains(&reference), "{reference}");
        for container in carriers {
            let lacks = pod.lacking(Some(container), std::slice::from_ref(reference));
            assert!(pod.has(container) && lacks.is_empty(), "{reference} in {container}");
        }
    }
}

/// Every text in it, wherever it stands.
fn texts<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    #[should_panic(expected = "a reference that the pod does not say")]
    fn what_a_pod_does_not_say_is_noticed() {
        let named = |value: &str| json!({"metadata": {"uid": "u"}, "spec": {"containers": [{"name": "app", "env": [{"name": "A", "value": value}]}]}});
        let carrying = Pod::parse(&named(&format!("{NEVER_SAID}@azurekeyvault")).to_string()).unwrap();
        assert_carries_what_is_said(&carrying, &named("db@azurekeyvault"));
    }
}
