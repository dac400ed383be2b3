//! What a derived schema says that the API server does not want to hear.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Map, Value};

/// The schema without it.
pub(super) fn of(schema: Option<&JSONSchemaProps>) -> Result<JSONSchemaProps, serde_json::Error> {
    let mut value = serde_json::to_value(schema)?;
    walk(&mut value);
    serde_json::from_value(value)
}

fn walk(schema: &mut Value) {
    let Value::Object(keywords) = schema else { return };
    tidy(keywords);
    for (keyword, below) in keywords {
        match (keyword.as_str(), below) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(walk),
            ("items" | "additionalProperties", below) => walk(below),
            _ => {}
        }
    }
}

fn tidy(keywords: &mut Map<String, Value>) {
    // The API server drops a null where null is not allowed, as it always did for akv2k8s's kind; where null is allowed it
    // would reach readers that know no null.
    keywords.remove("nullable");
    // Not in a structural schema beside `properties`; unknown fields are pruned, or refused by strict clients.
    if keywords.contains_key("properties") {
        keywords.remove("additionalProperties");
    }
    // The API server warns of formats that it does not know.
    if let Some(format) = keywords.get_mut("format")
        && format.as_str().is_some_and(|name| name.starts_with("uint"))
    {
        *format = "int64".into();
    }
    // One line each: `kubectl explain` fills its own.
    if let Some(Value::String(description)) = keywords.get_mut("description") {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
}
