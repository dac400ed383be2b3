//! A delivery's body → what its events are about. Pure.
//!
//! Event Grid's own schema comes as an array, `CloudEvents` 1.0 as one object, or an array where deliveries are batched.
//! Both are read by one parser, event by event: one that makes no sense takes no other with it.

use keyward_types::ObjectName;
use serde::Deserialize;
use serde_json::value::RawValue;

pub use super::whereabouts::Named;
use super::{data::Data, whereabouts};
use crate::poll::hints::About;

/// The most events in one delivery: Event Grid's own limit.
pub const MAX_EVENTS: usize = 5_000;

/// The longest code of a handshake that is given back. Event Grid's are UUIDs.
const MAX_CODE: usize = 128;

const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";

/// What a delivery brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A handshake: the code is to be given back.
    Validation {
        /// The code.
        code: String,
    },
    /// Events.
    Events(Vec<Item>),
}

/// What one of them is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Something may have changed.
    Notice(Notice),
    /// It is about something else.
    Other,
    /// It lacks what its schema demands.
    Malformed,
}

/// Something may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What no other event has: its source and its id.
    pub id: (String, String),
    /// The vault, as it is named.
    pub named: Named,
    /// What of it.
    pub about: About,
}

/// Why a body is no delivery. The text quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDelivery {
    /// Neither an object nor an array of JSON.
    #[error("the body is neither an event nor an array of events, in JSON")]
    NoEvents,
    /// More than may be.
    #[error("the body holds more than {MAX_EVENTS} events")]
    TooMany,
    /// A handshake that asks for nothing that can be given back.
    #[error("the handshake has no validationCode of at most {MAX_CODE} visible characters")]
    Code,
}

#[derive(Deserialize)]
struct Event<'a> {
    id: String,
    #[serde(rename = "eventType", alias = "type")]
    kind: String,
    #[serde(alias = "source")]
    topic: Option<String>,
    subject: Option<String>,
    /// Only `CloudEvents` have one.
    specversion: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl<'a> Event<'a> {
    /// `None` for what is none. An array of the right length would pass for one otherwise.
    fn read(event: &'a RawValue) -> Option<Self> {
        let text = event.get();
        text.starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
    }
}

/// Reads a body in either schema.
pub fn parse(body: &[u8]) -> Result<Delivery, BadDelivery> {
    let events = split(body)?;
    if let [only] = events[..]
        && let Some(event) = Event::read(only)
        && event.kind == VALIDATION
    {
        let code = Data::read(event.data).validation_code.filter(|code| is_code(code));
        return Ok(Delivery::Validation { code: code.ok_or(BadDelivery::Code)? });
    }
    Ok(Delivery::Events(events.into_iter().map(item).collect()))
}

fn split(body: &[u8]) -> Result<Vec<&RawValue>, BadDelivery> {
    let events: Vec<&RawValue> = match body.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice(body).map_err(|_| BadDelivery::NoEvents)?,
        Some(b'{') => vec![serde_json::from_slice(body).map_err(|_| BadDelivery::NoEvents)?],
        _ => return Err(BadDelivery::NoEvents),
    };
    if events.len() > MAX_EVENTS { Err(BadDelivery::TooMany) } else { Ok(events) }
}

fn is_code(code: &str) -> bool {
    (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic())
}

fn item(event: &RawValue) -> Item {
    let Some(event) = Event::read(event) else { return Item::Malformed };
    if event.id.is_empty() || event.specversion.as_deref().is_some_and(|version| version != "1.0") {
        return Item::Malformed;
    }
    let Some(subject) = subject(&event.kind) else { return Item::Other };
    let data = Data::read(event.data);
    let about = match subject {
        Subject::AccessPolicies => About::Vault,
        Subject::Object => {
            let named = data.object_name.as_deref().or(event.subject.as_deref()).unwrap_or_default();
            let Ok(name) = ObjectName::new(named) else { return Item::Malformed };
            About::Object(name)
        }
    };
    let named = whereabouts::named(&data, event.topic.as_deref());
    if named == Named::default() {
        return Item::Malformed;
    }
    Item::Notice(Notice { id: (event.topic.unwrap_or_default(), event.id), named, about })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Object,
    AccessPolicies,
}

/// What an event of this type is about, where that is of interest.
fn subject(kind: &str) -> Option<Subject> {
    let what = kind.strip_prefix("Microsoft.KeyVault.")?;
    if what == "VaultAccessPolicyChanged" {
        return Some(Subject::AccessPolicies);
    }
    let of = |object: &str| what.strip_prefix(object);
    let happened = of("Secret").or_else(|| of("Certificate")).or_else(|| of("Key"))?;
    matches!(happened, "NewVersionCreated" | "NearExpiry" | "Expired").then_some(Subject::Object)
}

#[cfg(test)]
mod tests;
