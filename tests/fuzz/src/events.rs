//! A delivery of Event Grid: of each event in it something is told, and never more than it says.

use keyward_broker::{
    events::delivery::{Delivery, Item, MAX_EVENTS, Named, Notice, parse},
    poll::hints::About,
};
use serde_json::Value;

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
            // Read as a whole, numbers may be too large, and values too deep, that are otherwise passed over.
            if let Ok(body) = serde_json::from_slice::<Value>(bytes) {
                assert_says(&body, &items);
            }
            assert_eq!(parse(bytes), Ok(Delivery::Events(items)), "it is read otherwise the second time");
        }
        Err(error) => assert_is_shown_well(&error.to_string()),
    }
}

fn assert_says(body: &Value, items: &[Item]) {
    let events = body.as_array().map_or(std::slice::from_ref(body), Vec::as_slice);
    assert_eq!(events.len(), items.len());
    for (event, item) in events.iter().zip(items) {
        let Item::Notice(Notice { id, named, about }) = item else { continue };
        assert_eq!(event["id"].as_str(), Some(id.1.as_str()));
        assert!(!id.1.is_empty() && *named != Named::default());
        let text = event.to_string().to_ascii_lowercase();
        let is_said = |name: &str| text.contains(name);
        assert!(named.name.as_ref().is_none_or(|name| is_said(name.as_str())), "a vault that nobody named");
        assert!(!matches!(about, About::Object(name) if !is_said(name.as_str())), "an object that nobody named");
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
        assert_says(&event("mail"), &told(&event("db")));
    }
}
