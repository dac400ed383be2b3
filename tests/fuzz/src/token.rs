//! Tokens, and the keys that prove them.

use std::time::{Duration, SystemTime};

use keyward_broker::authn::{KeySet, named_by};

use crate::assert_is_shown_well;

/// The moment at which tokens are read: those of the corpus hold then.
const NOW: Duration = Duration::from_secs(1_800_000_000);

/// A bearer token.
///
/// # Panics
///
/// Where somebody is named who cannot be, or a message is unfit for people.
pub fn token(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let now = SystemTime::UNIX_EPOCH + NOW;
    match named_by(text, now) {
        Ok(caller) => {
            assert!(caller.expires > now, "it has ended");
            let names = [&caller.namespace, &caller.service_account, &caller.pod_name];
            for name in names.into_iter().chain(&caller.node) {
                let is_plain =
                    |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"-.".contains(&letter);
                assert!((1..=253).contains(&name.len()) && name.bytes().all(is_plain), "{name:?}");
            }
            assert!(!caller.namespace.contains('.') && caller.namespace.len() <= 63, "{:?}", caller.namespace);
        }
        Err(error) => assert_is_shown_well(&error.to_string()),
    }
}

/// An issuer's key set.
///
/// # Panics
///
/// Where a message is unfit for people.
pub fn key_set(bytes: &[u8]) {
    if let Err(error) = KeySet::parse(bytes) {
        assert_is_shown_well(&error.to_string());
    }
}
