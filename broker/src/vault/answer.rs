//! What an answer means: errors of the SDK become [`ReadError`]s. Pure.
//!
//! Nothing that an answer's body says is repeated, except codes from a known set: a body may hold a value.

pub mod identifier;

use std::{error::Error as StdError, time::Duration};

use azure_core::{
    error::ErrorKind,
    http::{
        RawResponse,
        headers::{HeaderName, Headers},
    },
    time::{OffsetDateTime, parse_rfc7231},
};
use serde::Deserialize;

use crate::vault::{
    ReadError,
    credential::{ForeignScope, SignInError},
    transport::Stopped,
};

const DATE: HeaderName = HeaderName::from_static("date");
const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");

/// The longest pause a vault may ask for; a longer one is taken for a mistake.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// The codes that Key Vault is known to give for a refusal. Others are reported as `other`.
const REFUSALS: [&str; 6] = [
    "AccessDenied",
    "Forbidden",
    "ForbiddenByFirewall",
    "ForbiddenByPolicy",
    "ForbiddenByRbac",
    "InsufficientPermissions",
];

/// Says what an error means for the object that was asked for. `now` turns a date in `Retry-After` into a pause where the answer
/// does not say when it was given.
pub fn read_error(error: &azure_core::Error, now: OffsetDateTime) -> ReadError {
    if let Some(stopped) = find::<Stopped>(error) {
        return match *stopped {
            Stopped::Paused(closed) => closed.into(),
            Stopped::ForeignOrigin | Stopped::TooLong(_) => ReadError::Malformed(stopped.to_string()),
        };
    }
    if let Some(foreign) = find::<ForeignScope>(error) {
        return ReadError::Malformed(foreign.to_string());
    }
    match error.kind() {
        ErrorKind::HttpResponse { status, raw_response, .. } => {
            answered(u16::from(*status), raw_response.as_deref(), now)
        }
        ErrorKind::Connection | ErrorKind::Io => ReadError::Unreachable(cause(error)),
        ErrorKind::Credential => ReadError::NoToken(token_failure(error)),
        ErrorKind::DataConversion => ReadError::Malformed("it is not in the form that Key Vault documents".to_owned()),
        ErrorKind::Other => ReadError::Malformed("its challenge is for another resource than this vault".to_owned()),
    }
}

fn answered(status: u16, response: Option<&RawResponse>, now: OffsetDateTime) -> ReadError {
    let code = response.and_then(|response| Codes::read(response.body())).unwrap_or_default();
    match (status, code.innermost()) {
        (401, _) => ReadError::Forbidden("Unauthorized".to_owned()),
        (403, "SecretDisabled" | "CertificateDisabled" | "KeyDisabled") => ReadError::Disabled,
        (403, "ForbiddenByConnection") => ReadError::Unreachable("403 ForbiddenByConnection".to_owned()),
        // A proxy's page, or a firewall's: no word of the vault's.
        (403, "") => ReadError::Malformed("status 403 without one of Key Vault's codes".to_owned()),
        (403, code) => {
            let known = REFUSALS.into_iter().find(|known| *known == code);
            ReadError::Forbidden(known.unwrap_or("other").to_owned())
        }
        (404, code) if MISSES.contains(&code) => ReadError::NotFound,
        // A proxy's or another server's: no word on the object.
        (404, _) => ReadError::Malformed("status 404 without one of Key Vault's codes".to_owned()),
        (429, _) => {
            ReadError::Throttled { retry_after: response.and_then(|response| retry_after(response.headers(), now)) }
        }
        (408 | 500..=599, _) => ReadError::Unreachable(format!("status {status}")),
        _ => ReadError::Malformed(format!("status {status}")),
    }
}

/// The codes that Key Vault gives for an object that is not there.
const MISSES: [&str; 3] = ["SecretNotFound", "KeyNotFound", "CertificateNotFound"];

/// `error.code` and `error.innererror.code`; the SDK hands out the first only.
#[derive(Default)]
struct Codes {
    outer: String,
    inner: Option<String>,
}

impl Codes {
    fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            error: Detail,
        }
        #[derive(Deserialize)]
        struct Detail {
            code: Option<String>,
            innererror: Option<Box<Detail>>,
        }
        let Body { error } = serde_json::from_slice(body).ok()?;
        Some(Self { outer: error.code.unwrap_or_default(), inner: error.innererror.and_then(|inner| inner.code) })
    }

    fn innermost(&self) -> &str {
        self.inner.as_deref().unwrap_or(&self.outer)
    }
}

/// Seconds or an HTTP date (RFC 9110, 10.2.3), which is by the clock of whoever answered; a date gone by is no pause at all.
fn retry_after(headers: &Headers, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get_optional_str(&RETRY_AFTER)?.trim();
    let pause = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let answered = answered_at(headers).unwrap_or(now);
        Duration::try_from(parse_rfc7231(text).ok()? - answered).unwrap_or(Duration::ZERO)
    };
    Some(pause.min(MAX_PAUSE))
}

/// When the server says that it answered (RFC 9110, 6.6.1).
pub(crate) fn answered_at(headers: &Headers) -> Option<OffsetDateTime> {
    parse_rfc7231(headers.get_optional_str(&DATE)?).ok()
}

/// Why no token was to be had, from what `azure_identity` wrapped.
fn token_failure(error: &azure_core::Error) -> String {
    if let Some(ours) = SignInError::within(error) {
        return ours.to_string();
    }
    match innermost_azure(error).kind() {
        ErrorKind::HttpResponse { status, error_code, .. } => {
            let status = u16::from(*status);
            let code = error_code.as_deref().filter(|code| code.len() <= 32 && code.bytes().all(is_code_byte));
            code.map_or_else(
                || format!("the authority answers {status}"),
                |code| format!("the authority answers {status}, AADSTS{code}"),
            )
        }
        ErrorKind::Connection | ErrorKind::Io => format!("the authority does not answer: {}", cause(error)),
        _ => "the authority's answer is no token".to_owned(),
    }
}

fn is_code_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b','
}

/// The root of the matter in one bounded line, as `Connection refused (os error 111)`.
fn cause(error: &azure_core::Error) -> String {
    chain(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
        .chars()
        .take(160)
        .flat_map(char::escape_debug)
        .collect()
}

fn innermost_azure(error: &azure_core::Error) -> &azure_core::Error {
    chain(error).filter_map(<dyn StdError>::downcast_ref).last().unwrap_or(error)
}

fn find<E: StdError + 'static>(error: &azure_core::Error) -> Option<&E> {
    chain(error).find_map(<dyn StdError>::downcast_ref)
}

fn chain(error: &azure_core::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |error: &&(dyn StdError + 'static)| {
        (*error).source()
    })
}

#[cfg(test)]
mod tests {
    use azure_core::{Error, http::StatusCode};

    use super::*;
    use crate::budget::Closed;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn response(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Error {
        let mut all = Headers::new();
        for (name, value) in headers {
            all.insert(*name, *value);
        }
        let status = StatusCode::from(status);
        let raw_response = Some(Box::new(RawResponse::from_bytes(status, all, body)));
        Error::new(ErrorKind::HttpResponse { status, error_code: None, raw_response }, "kwcanary in the message")
    }

    fn forbidden(code: &str) -> ReadError {
        ReadError::Forbidden(code.to_owned())
    }

    #[test]
    fn every_status_has_its_meaning() {
        let unreachable = |text: &str| ReadError::Unreachable(text.to_owned());
        let malformed = |text: &str| ReadError::Malformed(text.to_owned());
        for (status, body, meaning) in [
            (401, "", forbidden("Unauthorized")),
            (403, r#"{"error":{"code":"Forbidden","innererror":{"code":"SecretDisabled"}}}"#, ReadError::Disabled),
            (403, r#"{"error":{"code":"Forbidden","innererror":{"code":"KeyDisabled"}}}"#, ReadError::Disabled),
            (403, r#"{"error":{"code":"Forbidden","innererror":{"code":"CertificateDisabled"}}}"#, ReadError::Disabled),
            (
                403,
                r#"{"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByConnection"}}}"#,
                unreachable("403 ForbiddenByConnection"),
            ),
            (
                403,
                r#"{"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByRbac"}}}"#,
                forbidden("ForbiddenByRbac"),
            ),
            (
                403,
                r#"{"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByPolicy"}}}"#,
                forbidden("ForbiddenByPolicy"),
            ),
            (403, r#"{"error":{"code":"Forbidden","innererror":{"code":"kwcanary"}}}"#, forbidden("other")),
            (403, r#"{"error":{"code":"Forbidden","message":"kwcanary"}}"#, forbidden("Forbidden")),
            (403, "<html>kwcanary</html>", malformed("status 403 without one of Key Vault's codes")),
            (404, r#"{"error":{"code":"SecretNotFound"}}"#, ReadError::NotFound),
            (404, "<html>kwcanary</html>", malformed("status 404 without one of Key Vault's codes")),
            (429, r#"{"error":{"code":"Throttled"}}"#, ReadError::Throttled { retry_after: None }),
            (408, "", unreachable("status 408")),
            (500, "kwcanary", unreachable("status 500")),
            (503, "", unreachable("status 503")),
            (302, "", malformed("status 302")),
            (400, "kwcanary", malformed("status 400")),
        ] {
            assert_eq!(read_error(&response(status, &[], body), NOW), meaning, "{status} {body}");
        }
    }

    #[test]
    fn a_pause_is_read_in_seconds_and_as_a_date_and_is_bounded() {
        for (header, seconds) in [
            ("8", Some(8)),
            (" 0 ", Some(0)),
            ("Thu, 01 Jan 1970 00:00:20 GMT", Some(20)),
            ("Wed, 31 Dec 1969 23:59:50 GMT", Some(0)),
            ("999999999999", Some(3600)),
            ("Fri, 01 Jan 2100 00:00:00 GMT", Some(3600)),
            ("soon", None),
            ("-1", None),
        ] {
            let expected = ReadError::Throttled { retry_after: seconds.map(Duration::from_secs) };
            assert_eq!(read_error(&response(429, &[("retry-after", header)], ""), NOW), expected, "{header}");
        }
    }

    #[test]
    fn a_date_is_by_the_clock_of_whoever_answers() {
        let headers = [("retry-after", "Thu, 01 Jan 1970 01:00:12 GMT"), ("date", "Thu, 01 Jan 1970 01:00:10 GMT")];
        let expected = ReadError::Throttled { retry_after: Some(Duration::from_secs(2)) };
        assert_eq!(read_error(&response(429, &headers, ""), NOW), expected);
    }

    #[test]
    fn a_connection_that_fails_is_reported_by_its_root_cause() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "refused\nby all");
        for kind in [ErrorKind::Connection, ErrorKind::Io] {
            let error = Error::with_error(kind, Error::new(ErrorKind::Io, "middle"), "outer");
            assert_eq!(read_error(&error, NOW), ReadError::Unreachable("middle".to_owned()));
        }
        let error = Error::with_error(ErrorKind::Connection, refused, "outer");
        assert_eq!(read_error(&error, NOW), ReadError::Unreachable("refused\\nby all".to_owned()));
    }

    #[test]
    fn a_token_that_is_not_to_be_had_says_which_code_and_nothing_of_the_text() {
        let entra = |status: u16, code: Option<&str>| {
            let kind = ErrorKind::HttpResponse {
                status: StatusCode::from(status),
                error_code: code.map(ToOwned::to_owned),
                raw_response: None,
            };
            let inner = Error::new(kind, "kwcanary in the description");
            read_error(&Error::with_error(ErrorKind::Credential, inner, "kwcanary authentication failed"), NOW)
        };
        for (status, code, text) in [
            (401, Some("7000215"), "the authority answers 401, AADSTS7000215"),
            (400, Some("kwcanary"), "the authority answers 400"),
            (503, None, "the authority answers 503"),
        ] {
            assert_eq!(entra(status, code), ReadError::NoToken(text.to_owned()));
        }
        let io = Error::new(ErrorKind::Connection, "timed out");
        assert_eq!(
            read_error(&Error::with_error(ErrorKind::Credential, io, "x"), NOW),
            ReadError::NoToken("the authority does not answer: timed out".to_owned())
        );
    }

    #[test]
    fn an_answer_in_another_form_is_never_quoted() {
        let parse = serde_json::from_str::<u32>("\"kwcanary\"").unwrap_err();
        let error = read_error(&Error::new(ErrorKind::DataConversion, parse), NOW);
        assert!(matches!(&error, ReadError::Malformed(text) if !text.contains("kwcanary")));
    }

    #[test]
    fn what_the_transport_stops_is_named_however_deep_it_lies() {
        let stopped = Error::with_error(ErrorKind::Io, Error::new(ErrorKind::Other, Stopped::TooLong(7)), "x");
        assert_eq!(read_error(&stopped, NOW), ReadError::Malformed("it is longer than 7 bytes".to_owned()));
        let closed = Closed { retry_after: Duration::from_secs(2), throttled: true };
        let paused = Error::with_error(ErrorKind::Io, Error::new(ErrorKind::Other, Stopped::Paused(closed)), "x");
        assert_eq!(read_error(&paused, NOW), closed.into());
        let foreign = Error::new(ErrorKind::Credential, ForeignScope);
        assert!(matches!(read_error(&foreign, NOW), ReadError::Malformed(_)));
    }
}
