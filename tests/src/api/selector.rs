//! Which objects a list or a watch is of: by namespace, labels and fields. Pure.

use std::collections::HashMap;

use serde_json::Value;

/// What is asked of an object. Only what is known here: `key`, `key=value` of labels, `metadata.name` and
/// `metadata.namespace` of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    namespace: Option<String>,
    labels: Vec<(String, Option<String>)>,
    fields: Vec<(String, Option<String>)>,
}

impl Selector {
    /// Of a request's parameters.
    pub(super) fn new(namespace: Option<&str>, parameters: &HashMap<String, String>) -> Self {
        let terms = |name: &str| parameters.get(name).map_or_else(Vec::new, |text| terms(text));
        let namespace = namespace.map(str::to_owned);
        Self { namespace, labels: terms("labelSelector"), fields: terms("fieldSelector") }
    }

    /// Whether the object is one of them.
    pub(super) fn matches(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let has = |place: &Value, name: &str, wanted: Option<&str>| {
            let found = place[name].as_str();
            found.is_some() && wanted.is_none_or(|wanted| found == Some(wanted))
        };
        has_all(&self.labels, |name, wanted| has(&metadata["labels"], name, wanted))
            && has_all(&self.fields, |name, wanted| {
                has(metadata, name.strip_prefix("metadata.").unwrap_or(name), wanted)
            })
            && self.namespace.as_deref().is_none_or(|namespace| has(metadata, "namespace", Some(namespace)))
    }
}

fn has_all(terms: &[(String, Option<String>)], has: impl Fn(&str, Option<&str>) -> bool) -> bool {
    terms.iter().all(|(name, wanted)| has(name, wanted.as_deref()))
}

fn terms(text: &str) -> Vec<(String, Option<String>)> {
    let term = |text: &str| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.trim_start_matches('=').to_owned())),
        None => (text.to_owned(), None),
    };
    text.split(',').filter(|text| !text.is_empty()).map(term).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn namespace_labels_and_fields_all_count() {
        let object = json!({"metadata": {"name": "db", "namespace": "shop", "labels": {"app": "web", "tier": "1"}}});
        for (namespace, labels, fields, expected) in [
            (None, "", "", true),
            (Some("shop"), "app=web,tier", "metadata.name=db", true),
            (None, "app==web", "metadata.namespace=shop,metadata.name=db", true),
            (Some("bank"), "", "", false),
            (None, "app=api", "", false),
            (None, "zone", "", false),
            (None, "", "metadata.name=other", false),
        ] {
            let parameters = [("labelSelector", labels), ("fieldSelector", fields)];
            let parameters = parameters.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
            let selector = Selector::new(namespace, &parameters);
            assert_eq!(selector.matches(&object), expected, "{selector:?}");
        }
    }
}
