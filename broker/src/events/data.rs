//! An event's `data`, as far as it is of use. Pure.
//!
//! Its names are documented in two cases, one of them with a space behind it, and numbers come as texts and as `null`: so
//! names are compared without case and space, and what is no text is passed over.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// What an event says of what it is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Data {
    /// The object's URL in its vault.
    pub(super) id: Option<String>,
    pub(super) vault_name: Option<String>,
    pub(super) object_name: Option<String>,
    /// Of a handshake.
    pub(super) validation_code: Option<String>,
}

impl Data {
    /// From the value of `data`. Whatever is no object says nothing.
    pub(super) fn read(data: Option<&RawValue>) -> Self {
        data.and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default()
    }

    fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        let is = |known: &str| name.trim().eq_ignore_ascii_case(known);
        if is("id") {
            Some(&mut self.id)
        } else if is("vaultName") {
            Some(&mut self.vault_name)
        } else if is("objectName") {
            Some(&mut self.object_name)
        } else if is("validationCode") {
            Some(&mut self.validation_code)
        } else {
            None
        }
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

/// Keeps the fields that are known: a value that is not kept takes no memory.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
        let mut data = Data::default();
        while let Some(name) = map.next_key::<String>()? {
            match data.field(&name) {
                Some(field) if field.is_none() => {
                    let value: &RawValue = map.next_value()?;
                    *field = serde_json::from_str(value.get()).ok().map(|text: String| text.trim().to_owned());
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Data {
        Data::read(Some(&RawValue::from_string(text.to_owned()).unwrap()))
    }

    #[test]
    fn names_are_read_in_every_case_that_is_documented() {
        let expected = Data {
            id: Some("https://acme.vault.azure.net/secrets/db/1".into()),
            vault_name: Some("acme".into()),
            object_name: Some("db".into()),
            validation_code: None,
        };
        for text in [
            r#"{"Id": "https://acme.vault.azure.net/secrets/db/1", "VaultName": "acme", "ObjectType": "Secret",
                "ObjectName": "db", "Version": "1", "NBF": null, "EXP": 1559082102}"#,
            r#"{"id": "https://acme.vault.azure.net/secrets/db/1", "vaultName": "acme", "objectType": "Secret",
                "objectName ": " db", "version": " ", "nbf": "1559081980", "exp": "1559082102"}"#,
            r#"{"\u0049D": "https:\/\/acme.vault.azure.net\/secrets\/db\/1", "VAULTNAME": "acme", "objectname": "db",
                "vaultName": "the first holds"}"#,
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_text_or_no_object_says_nothing() {
        for text in ["null", "[]", "3", r#""acme""#, r#"{"vaultName": 3, "objectName": null, "id": {"id": "a"}}"#] {
            assert_eq!(read(text), Data::default(), "{text}");
        }
        assert_eq!(Data::read(None), Data::default());
    }
}
