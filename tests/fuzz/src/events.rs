//! A delivery of Event Grid: of each event in it something is told, and never more than it says.

use std::fmt;

use keyward_broker::{
    events::delivery::{Delivery, Item, MAX_EVENTS, Named, Notice, parse},
    poll::hints::About,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use crate::assert_is_shown_well;

/// The body of a delivery.
///
/// # Panics
///
/// Where what is told of it is not what it says.
pub fn event_grid(bytes: &[u8]) {
    match parse(bytes) {
        Ok(Delivery::Validation { code }) => {
            assert!((1..=128).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        Ok(Delivery::Events(items)) => {
            assert!(items.len() <= MAX_EVENTS);
            assert_says(bytes, &items);
            assert_eq!(parse(bytes), Ok(Delivery::Events(items)), "it is read otherwise the second time");
        }
        Err(error) => assert_is_shown_well(&error.to_string()),
    }
}

fn assert_says(bytes: &[u8], items: &[Item]) {
    let each = serde_json::from_slice::<Vec<&RawValue>>(bytes);
    let Ok(events) = each.or_else(|_| serde_json::from_slice(bytes).map(|only| vec![only])) else { return };
    assert_eq!(events.len(), items.len());
    for (event, item) in events.iter().zip(items) {
        let Item::Notice(Notice { id, named, about }) = item else { continue };
        let read = (serde_json::from_str::<Value>(event.get()), serde_json::from_str(event.get()));
        // Read as a whole, numbers may be too large, and values too deep, that are otherwise passed over.
        let (Ok(event), Ok(Said(said))) = read else { continue };
        let is_said = |name: &str| said.iter().any(|text| text.contains(name));
        assert_eq!(event["id"].as_str(), Some(id.1.as_str()));
        assert!(!id.1.is_empty() && *named != Named::default());
        assert!(named.name.as_ref().is_none_or(|name| is_said(name.as_str())), "a vault that nobody named");
        assert!(!matches!(about, About::Object(name) if !is_said(name.as_str())), "an object that nobody named");
    }
}

/// Every text in an event, in lower case: also of members that come twice, of which a [`Value`] keeps the last and a delivery the
/// first.
#[derive(Default)]
struct Said(Vec<String>);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Texts)
    }
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Said, E> {
        Ok(Said(vec![text.to_ascii_lowercase()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut each: A) -> Result<Said, A::Error> {
        let mut all = Said::default();
        while let Some(Said(texts)) = each.next_element()? {
            all.0.extend(texts);
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut each: A) -> Result<Said, A::Error> {
        let mut all = Said::default();
        while let Some((_, Said(texts))) = each.next_entry::<String, Said>()? {
            all.0.extend(texts);
        }
        Ok(all)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Said, E> {
        Ok(Said::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Said, E> {
        Ok(Said::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Said, E> {
        Ok(Said::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Said, E> {
        Ok(Said::default())
    }

    fn visit_unit<E>(self) -> Result<Said, E> {
        Ok(Said::default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(event: &Value) -> Vec<Item> {
        match parse(event.to_string().as_bytes()) {
            Ok(Delivery::Events(items)) => items,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    #[should_panic(expected = "an object that nobody named")]
    fn what_an_event_does_not_say_is_noticed() {
        let event = |name: &str| json!({"id": "1", "source": "/vaults/acme", "type": "Microsoft.KeyVault.KeyExpired", "data": {"ObjectName": name}});
        assert_says(event("mail").to_string().as_bytes(), &told(&event("db")));
    }
}
