//! A container's environment as the kubelet will make it, as far as it can be known at admission: pure.
//!
//! The order is the kubelet's: what `envFrom` brings, in order, and over it `env`, in order, each `$(NAME)` in it taken from
//! what came before. Values of Secrets are not read; a value built from one is known only in part.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use k8s_openapi::{
    api::core::v1::{ConfigMapKeySelector, Container, EnvFromSource, EnvVar},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use keyward_types::{Reference, reference::MARKER};

use crate::expand::{Piece, pieces};

/// The data of each `ConfigMap` that was looked for, by name; `None` where there is none.
pub type ConfigMaps = BTreeMap<String, Option<BTreeMap<String, String>>>;

/// What the environment is made from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The pod's own metadata.
    pub metadata: &'a ObjectMeta,
    /// Those that the pod names.
    pub config_maps: &'a ConfigMaps,
}

/// A variable's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// As the program will see it.
    Text(Cow<'a, str>),
    /// The same, from a `ConfigMap`. It is never shown in part: whoever reaches the webhook could read any `ConfigMap` by
    /// making up a pod whose variable is a part of it and `@azurekeyvault`.
    Foreign(&'a str),
    /// From a place that is not read here.
    Unknown,
    /// A reference of which a part comes from a place that is not read here.
    Hidden,
}

impl Value<'_> {
    /// Whether the program would start with a literal in its place, were it not for the launcher.
    pub fn is_meant_for_us(&self) -> bool {
        match self {
            Self::Hidden => true,
            other => other.text().is_some_and(|text| Reference::parse(text).is_some()),
        }
    }

    /// The whole text, where it is known.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Foreign(text) => Some(text),
            Self::Unknown | Self::Hidden => None,
        }
    }
}

/// The environment.
#[derive(Debug, Default)]
pub struct Variables<'a> {
    values: BTreeMap<Cow<'a, str>, Value<'a>>,
    missing: BTreeSet<&'a str>,
}

/// A `$(NAME)` that would put a literal into a text: the kubelet expands it before the launcher can resolve anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// The variable in whose value it stands.
    pub place: String,
    /// `NAME`.
    pub name: String,
}

impl<'a> Variables<'a> {
    /// Those of `container`.
    pub fn of(container: &'a Container, sources: Sources<'a>) -> Result<Self, Embedded> {
        let mut variables = Self::default();
        for source in container.env_from.iter().flatten() {
            variables.add_all(source, sources);
        }
        for variable in container.env.iter().flatten() {
            if let Some(value) = variables.value(variable, sources)? {
                variables.values.insert(Cow::Borrowed(&variable.name), value);
            }
        }
        Ok(variables)
    }

    /// All that are known by name, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.values.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// One by name.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.values.get(name)
    }

    /// `ConfigMap`s that do not exist and may bring references once they do.
    pub fn missing(&self) -> impl Iterator<Item = &'a str> {
        self.missing.iter().copied()
    }

    /// The first variable in `text` whose value is meant for us.
    pub fn first_reference_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        pieces(text).find_map(|piece| match piece {
            Piece::Variable { name, .. } if self.get(name).is_some_and(Value::is_meant_for_us) => Some(name),
            _ => None,
        })
    }

    fn add_all(&mut self, source: &'a EnvFromSource, sources: Sources<'a>) {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let Some(name) = source.config_map_ref.as_ref().map(|reference| reference.name.as_str()) else { return };
        match sources.config_maps.get(name) {
            Some(Some(data)) => {
                for (key, text) in data {
                    let name = if prefix.is_empty() {
                        Cow::Borrowed(key.as_str())
                    } else {
                        Cow::Owned(format!("{prefix}{key}"))
                    };
                    self.values.insert(name, Value::Foreign(text));
                }
            }
            _ => {
                self.missing.insert(name);
            }
        }
    }

    /// `None` where the kubelet sets nothing.
    fn value(&mut self, variable: &'a EnvVar, sources: Sources<'a>) -> Result<Option<Value<'a>>, Embedded> {
        if let Some(text) = variable.value.as_deref().filter(|text| !text.is_empty()) {
            return self.expanded(&variable.name, text).map(Some);
        }
        let Some(from) = &variable.value_from else { return Ok(Some(Value::Text(Cow::Borrowed("")))) };
        if let Some(selector) = &from.config_map_key_ref {
            return Ok(self.key(selector, sources));
        }
        if let Some(field) = &from.field_ref {
            let known = field_value(&field.field_path, sources);
            return Ok(Some(known.map_or(Value::Unknown, |text| Value::Text(Cow::Borrowed(text)))));
        }
        Ok(Some(Value::Unknown))
    }

    fn key(&mut self, selector: &'a ConfigMapKeySelector, sources: Sources<'a>) -> Option<Value<'a>> {
        let name = selector.name.as_str();
        let found = sources.config_maps.get(name).and_then(Option::as_ref).and_then(|data| data.get(&selector.key));
        if found.is_none() {
            self.missing.insert(name);
        }
        found.map(|text| Value::Foreign(text))
    }

    fn expanded(&self, place: &str, text: &'a str) -> Result<Value<'a>, Embedded> {
        if !text.contains('$') {
            return Ok(Value::Text(Cow::Borrowed(text)));
        }
        let mut all = pieces(text);
        // A variable that is another's value as a whole may be a reference like that one.
        if let (Some(Piece::Variable { name, .. }), None) = (all.next(), all.next())
            && let Some(value) = self.get(name)
        {
            return Ok(value.clone());
        }
        if let Some(name) = self.first_reference_in(text) {
            return Err(Embedded { place: place.to_owned(), name: name.to_owned() });
        }
        Ok(self.joined(text))
    }

    fn joined(&self, text: &str) -> Value<'a> {
        let (mut joined, mut whole) = (String::with_capacity(text.len()), true);
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => joined.push_str(text),
                Piece::Variable { name, written } => match self.get(name) {
                    Some(Value::Text(text)) => joined.push_str(text),
                    Some(other) => {
                        joined.push_str(other.text().unwrap_or_default());
                        whole = false;
                    }
                    None => joined.push_str(written),
                },
            }
        }
        match whole {
            true => Value::Text(Cow::Owned(joined)),
            false if joined.contains(MARKER) => Value::Hidden,
            false => Value::Unknown,
        }
    }
}

/// Of the downward API's fields those that are known now.
fn field_value<'a>(path: &str, sources: Sources<'a>) -> Option<&'a str> {
    let of = |map: &'a Option<BTreeMap<String, String>>, key: &str| {
        Some(map.as_ref().and_then(|map| map.get(key)).map_or("", String::as_str))
    };
    match path {
        "metadata.namespace" => Some(sources.namespace),
        "metadata.name" => sources.metadata.name.as_deref().filter(|name| !name.is_empty()),
        _ => {
            let (map, key) = path.strip_suffix("']")?.split_once("['")?;
            match map {
                "metadata.annotations" => of(&sources.metadata.annotations, key),
                "metadata.labels" => of(&sources.metadata.labels, key),
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn config_maps() -> ConfigMaps {
        let data = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        ConfigMaps::from([
            ("app".to_owned(), data(&[("DB", "db@azurekeyvault"), ("MODE", "fast"), ("RAW", "$(MODE)")])),
            ("over".to_owned(), data(&[("DB", "plain"), ("MODE", "slow")])),
            ("gone".to_owned(), None),
        ])
    }

    /// Each variable as `NAME=value`, then what is missing.
    fn shown(container: Json) -> Result<Vec<String>, Embedded> {
        let mut container = container;
        container["name"] = json!("app");
        let container: Container = serde_json::from_value(container).unwrap();
        let metadata: ObjectMeta = serde_json::from_value(json!({
            "name": "app-1",
            "labels": {"tier": "web"},
            "annotations": {"a/ref": "note@azurekeyvault"},
        }))
        .unwrap();
        let config_maps = config_maps();
        let sources = Sources { namespace: "shop", metadata: &metadata, config_maps: &config_maps };
        let variables = Variables::of(&container, sources)?;
        let known = variables.iter().map(|(name, value)| match value {
            Value::Text(text) => format!("{name}={text}"),
            Value::Foreign(text) => format!("{name}={text}"),
            Value::Unknown => format!("{name}:unknown"),
            Value::Hidden => format!("{name}:hidden"),
        });
        Ok(known.chain(variables.missing().map(|name| format!("missing {name}"))).collect())
    }

    fn from_secret() -> Json {
        json!({"secretKeyRef": {"name": "s", "key": "k"}})
    }

    #[test]
    fn later_sources_win_and_env_wins_over_all() {
        let from = json!([{"configMapRef": {"name": "app"}}, {"configMapRef": {"name": "over"}}]);
        assert_eq!(shown(json!({"envFrom": from})).unwrap(), ["DB=plain", "MODE=slow", "RAW=$(MODE)"]);
        let from = json!([{"configMapRef": {"name": "over"}}, {"configMapRef": {"name": "app"}}]);
        let env = json!([{"name": "MODE", "value": "own"}]);
        let expected = ["DB=db@azurekeyvault", "MODE=own", "RAW=$(MODE)"];
        assert_eq!(shown(json!({"envFrom": from, "env": env})).unwrap(), expected);
        let env = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
        assert_eq!(shown(json!({"env": env})).unwrap(), ["A=2"]);
    }

    #[test]
    fn a_prefix_goes_before_each_key() {
        let from = json!([{"configMapRef": {"name": "over"}, "prefix": "X_"}]);
        assert_eq!(shown(json!({"envFrom": from})).unwrap(), ["X_DB=plain", "X_MODE=slow"]);
    }

    #[test]
    fn what_does_not_exist_is_missing_optional_or_not() {
        for optional in [true, false] {
            let from = json!([{"configMapRef": {"name": "gone", "optional": optional}}]);
            assert_eq!(shown(json!({"envFrom": from})).unwrap(), ["missing gone"]);
            let of =
                |name: &str, key: &str| json!({"configMapKeyRef": {"name": name, "key": key, "optional": optional}});
            let env = json!([{"name": "A", "valueFrom": of("gone", "k")}, {"name": "B", "valueFrom": of("app", "k")}]);
            assert_eq!(shown(json!({"env": env})).unwrap(), ["missing app", "missing gone"]);
        }
    }

    #[test]
    fn values_come_from_config_maps_and_from_the_pods_own_fields() {
        let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
        let env = json!([
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "DB"}}},
            {"name": "B", "valueFrom": field("metadata.annotations['a/ref']")},
            {"name": "C", "valueFrom": field("metadata.labels['tier']")},
            {"name": "D", "valueFrom": field("metadata.namespace")},
            {"name": "E", "valueFrom": field("metadata.name")},
            {"name": "F", "valueFrom": field("metadata.annotations['none']")},
            {"name": "G", "valueFrom": field("status.podIP")},
            {"name": "H", "valueFrom": from_secret()},
            {"name": "I"},
        ]);
        let expected = [
            "A=db@azurekeyvault",
            "B=note@azurekeyvault",
            "C=web",
            "D=shop",
            "E=app-1",
            "F=",
            "G:unknown",
            "H:unknown",
            "I=",
        ];
        assert_eq!(shown(json!({"env": env})).unwrap(), expected);
    }

    #[test]
    fn a_name_may_be_built_from_other_variables() {
        let env = json!([
            {"name": "STAGE", "value": "prod"},
            {"name": "DB", "value": "$(STAGE)-db@azurekeyvault"},
            {"name": "SAME", "value": "$(DB)"},
            {"name": "LATER", "value": "$(LAST)"},
            {"name": "LAST", "value": "$$(STAGE)"},
        ]);
        let expected =
            ["DB=prod-db@azurekeyvault", "LAST=$(STAGE)", "LATER=$(LAST)", "SAME=prod-db@azurekeyvault", "STAGE=prod"];
        assert_eq!(shown(json!({"env": env})).unwrap(), expected);
    }

    #[test]
    fn a_reference_with_a_part_that_is_not_known_is_a_reference() {
        let env = json!([
            {"name": "S", "valueFrom": from_secret()},
            {"name": "DB", "value": "$(S)-db@azurekeyvault"},
            {"name": "URL", "value": "https://$(S)"},
            {"name": "SAME", "value": "$(DB)"},
        ]);
        assert_eq!(shown(json!({"env": env})).unwrap(), ["DB:hidden", "S:unknown", "SAME:hidden", "URL:unknown"]);
    }

    #[test]
    fn a_part_of_a_config_map_is_not_shown_in_a_name() {
        let env = json!([
            {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "MODE"}}},
            {"name": "DB", "value": "$(MODE)@azurekeyvault"},
            {"name": "SAME", "value": "$(MODE)"},
        ]);
        assert_eq!(shown(json!({"env": env})).unwrap(), ["DB:hidden", "MODE=fast", "SAME=fast"]);
    }

    #[test]
    fn a_reference_inside_of_a_longer_text_is_refused() {
        for text in ["postgres://u:$(DB)@host", "$(DB)$(DB)", "x$(DB)", "$(DB) "] {
            let env = json!([{"name": "DB", "value": "db@azurekeyvault"}, {"name": "URL", "value": text}]);
            let expected = Embedded { place: "URL".to_owned(), name: "DB".to_owned() };
            assert_eq!(shown(json!({"env": env})), Err(expected), "{text}");
        }
        let env = json!([{"name": "DB", "value": "db@azurekeyvault"}, {"name": "URL", "value": "x$$(DB)"}]);
        assert_eq!(shown(json!({"env": env})).unwrap(), ["DB=db@azurekeyvault", "URL=x$(DB)"]);
    }
}
