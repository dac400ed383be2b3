//! What an endpoint of managed identities answers. Pure.

use azure_core::{
    credentials::{AccessToken, Secret},
    time::{Duration, OffsetDateTime},
};
use serde::Deserialize;

/// The time is a string in Azure's own answers and a number in those of some stand-ins.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(i64),
    Text(String),
}

impl Seconds {
    fn get(&self) -> Option<i64> {
        match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

#[derive(Deserialize)]
struct Body {
    access_token: Secret,
    expires_on: Option<Seconds>,
    expires_in: Option<Seconds>,
}

/// The token in `body`, or nothing where there is none that ends at a known time.
pub(super) fn token(body: &[u8], now: OffsetDateTime) -> Option<AccessToken> {
    let body: Body = serde_json::from_slice(body).ok()?;
    // It becomes a header; and an empty one would be sent too.
    let secret = body.access_token.secret();
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let ends = match (body.expires_on, body.expires_in) {
        (Some(on), _) => OffsetDateTime::from_unix_timestamp(on.get()?).ok()?,
        (None, Some(within)) => now.checked_add(Duration::seconds(within.get()?))?,
        (None, None) => return None,
    };
    Some(AccessToken::new(body.access_token, ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn ends(body: &str) -> Option<i64> {
        token(body.as_bytes(), NOW).map(|token| token.expires_on.unix_timestamp())
    }

    #[test]
    fn the_end_is_read_in_every_form() {
        for (times, end) in [
            (r#""expires_on":"1700000000""#, Some(1_700_000_000)),
            (r#""expires_on":1700000000"#, Some(1_700_000_000)),
            (r#""expires_on":"1700000000","expires_in":"5""#, Some(1_700_000_000)),
            (r#""expires_in":"3600""#, Some(3_600)),
            (r#""expires_in":3600"#, Some(3_600)),
            (r#""expires_on":"soon""#, None),
            (r#""expires_on":9223372036854775807"#, None),
            (r#""expires_in":9223372036854775807"#, None),
            (r#""expires_on":null"#, None),
            (r#""token_type":"Bearer""#, None),
        ] {
            assert_eq!(ends(&format!(r#"{{"access_token":"t",{times}}}"#)), end, "{times}");
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        for body in
            ["", "kwcanary", "{}", r#"{"access_token":"","expires_in":9}"#, r#"{"access_token":"a\nb","expires_in":9}"#]
        {
            assert_eq!(ends(body), None, "{body}");
        }
    }
}
