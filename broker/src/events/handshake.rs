//! Event Grid asks whether its events are wanted, by `OPTIONS`, before it delivers `CloudEvents` (abuse protection of
//! HTTP 1.1 Web Hooks for Event Delivery). Pure.
//!
//! Whoever asks has proven itself, as for a delivery. The address to call back that it may name is never called.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::server::PER_MINUTE;

const REQUEST_ORIGIN: &str = "webhook-request-origin";
const REQUEST_RATE: &str = "webhook-request-rate";
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// The longest DNS name.
const MAX_ORIGIN: usize = 253;

/// What permits the sender that `asked` names to send; `None` where it names none.
pub(super) fn permission(asked: &HeaderMap) -> Option<[(HeaderName, HeaderValue); 2]> {
    let origin = asked.get(REQUEST_ORIGIN)?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    if !(1..=MAX_ORIGIN).contains(&origin.len()) || !origin.as_bytes().iter().all(is_name) {
        return None;
    }
    let rate = asked.get(REQUEST_RATE).and_then(|rate| rate.to_str().ok()).and_then(|rate| rate.parse::<u32>().ok());
    let rate = rate.map_or(PER_MINUTE, |rate| rate.clamp(1, PER_MINUTE));
    Some([(ALLOWED_ORIGIN, origin.clone()), (ALLOWED_RATE, rate.into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permitted(headers: &[(&'static str, &str)]) -> Option<(String, String)> {
        let asked = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let given = permission(&asked.collect())?;
        let [origin, rate] = given.map(|(_, value)| value.to_str().unwrap().to_owned());
        Some((origin, rate))
    }

    #[test]
    fn the_sender_s_name_is_given_back_with_no_more_than_our_own_rate() {
        let origin = (REQUEST_ORIGIN, "eventgrid.azure.net");
        for (rate, expected) in
            [(None, "60000"), (Some("120"), "120"), (Some("*"), "60000"), (Some("70000"), "60000"), (Some("0"), "1")]
        {
            let asked: Vec<_> = [origin].into_iter().chain(rate.map(|rate| (REQUEST_RATE, rate))).collect();
            assert_eq!(permitted(&asked), Some(("eventgrid.azure.net".into(), expected.into())), "{rate:?}");
        }
    }

    #[test]
    fn who_names_nothing_that_is_a_name_is_permitted_nothing() {
        for origin in ["", "*", "https://eventgrid.azure.net", "a b", &"a".repeat(254)] {
            assert_eq!(permitted(&[(REQUEST_ORIGIN, origin)]), None, "{origin}");
        }
        assert_eq!(permitted(&[]), None);
    }
}
