//! What a vault answers, or whoever answers in its stead.

use azure_core::{
    Error,
    error::ErrorKind,
    http::{RawResponse, StatusCode, headers::Headers},
};
use azure_security_keyvault_secrets::models::ListSecretPropertiesResult;
use keyward_broker::vault::{ReadError, answer::read_error, listing::secrets_page, origin::Origin};
use time::OffsetDateTime;

use crate::assert_is_shown_well;

/// The longest pause that is believed, in seconds.
const MAX_PAUSE: u64 = 3_600;

/// A refusal: a status in two bytes, a line of `Retry-After`, and the body.
///
/// # Panics
///
/// Where a pause is longer than any, or where what the body says is repeated.
pub fn refusal(bytes: &[u8]) {
    let Some((status, rest)) = bytes.split_at_checked(2) else { return };
    let status = 400 + u16::from_be_bytes([status[0], status[1]]) % 200;
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (line, body) = rest.split_at(end);
    let mut headers = Headers::new();
    if let Ok(line) = str::from_utf8(line) {
        headers.insert("retry-after", line.to_owned());
    }
    let status = StatusCode::from(status);
    let raw_response = Some(Box::new(RawResponse::from_bytes(status, headers, body.to_vec())));
    let error = Error::new(ErrorKind::HttpResponse { status, error_code: None, raw_response }, "an answer");
    let read = read_error(&error, OffsetDateTime::UNIX_EPOCH);
    if let ReadError::Throttled { retry_after } = &read {
        assert!(retry_after.is_none_or(|pause| pause.as_secs() <= MAX_PAUSE), "{retry_after:?}");
    }
    let shown = read.to_string();
    assert_is_shown_well(&shown);
    // A body may hold a value: this one says so.
    assert!(!shown.contains("kwc"), "the body is repeated: {shown}");
}

/// A page of a list.
///
/// # Panics
///
/// Where an object is listed under a name that none can have.
pub fn list_page(bytes: &[u8]) {
    let Ok(vault) = Origin::parse("https://acme.vault.azure.net") else { return };
    let Ok(page) = serde_json::from_slice::<ListSecretPropertiesResult>(bytes) else { return };
    match secrets_page(page, &vault) {
        Ok(page) => {
            for item in page.items {
                let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                let name = item.name.as_str();
                assert!((1..=127).contains(&name.len()) && name.bytes().all(is_plain), "{name:?}");
            }
        }
        Err(error) => assert_is_shown_well(&error.to_string()),
    }
}
