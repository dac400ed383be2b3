//! Why there is no object. The text of a failure is the same at the replica that asked the vault and at the one that asked
//! that replica.

use std::time::Duration;

use keyward_proto::v1::{self, ReadFailureKind as Kind};

use crate::{cache::LoadError, milliseconds::milliseconds, render::RenderError, vault::ReadError};

/// As it travels.
pub fn of_failure(error: &LoadError) -> v1::ReadFailure {
    let detailed = |kind: Kind, detail: &str| v1::ReadFailure {
        kind: kind.into(),
        detail: detail.to_owned(),
        ..v1::ReadFailure::default()
    };
    let plain = |kind| detailed(kind, "");
    match error {
        LoadError::Read(ReadError::NotFound) => plain(Kind::NotFound),
        LoadError::Read(ReadError::Disabled) => plain(Kind::Disabled),
        LoadError::Read(ReadError::Forbidden(reason)) => detailed(Kind::Forbidden, reason),
        LoadError::Read(ReadError::Throttled { retry_after }) => {
            v1::ReadFailure { retry_after_ms: retry_after.map(milliseconds), ..plain(Kind::Throttled) }
        }
        LoadError::Read(ReadError::Paused { retry_after, throttled }) => v1::ReadFailure {
            retry_after_ms: Some(milliseconds(*retry_after)),
            throttled: *throttled,
            ..plain(Kind::Paused)
        },
        LoadError::Read(ReadError::Unreachable(reason)) => detailed(Kind::Unreachable, reason),
        LoadError::Read(ReadError::NoToken(reason)) => detailed(Kind::NoToken, reason),
        LoadError::Read(ReadError::Malformed(part)) => detailed(Kind::Malformed, part),
        LoadError::Parse(error) => detailed(Kind::Unparsable, &error.to_string()),
        LoadError::Interrupted => plain(Kind::Interrupted),
        LoadError::Busy => plain(Kind::Busy),
        LoadError::NoOwner => plain(Kind::NoOwner),
        LoadError::Unsettled => plain(Kind::Unsettled),
    }
}

/// As it was meant. What this version does not know yet is worth another try.
pub fn to_failure(failure: v1::ReadFailure) -> LoadError {
    let kind = failure.kind();
    let v1::ReadFailure { detail, retry_after_ms, throttled, .. } = failure;
    let retry_after = retry_after_ms.map(Duration::from_millis);
    let read = match kind {
        Kind::NotFound => ReadError::NotFound,
        Kind::Disabled => ReadError::Disabled,
        Kind::Forbidden => ReadError::Forbidden(detail),
        Kind::Throttled => ReadError::Throttled { retry_after },
        Kind::Paused => ReadError::Paused { retry_after: retry_after.unwrap_or_default(), throttled },
        Kind::Unreachable => ReadError::Unreachable(detail),
        Kind::NoToken => ReadError::NoToken(detail),
        Kind::Malformed => ReadError::Malformed(detail),
        Kind::Unparsable => return LoadError::Parse(RenderError::Elsewhere(detail)),
        Kind::Busy => return LoadError::Busy,
        Kind::NoOwner => return LoadError::NoOwner,
        Kind::Unsettled => return LoadError::Unsettled,
        Kind::Interrupted | Kind::Unspecified => return LoadError::Interrupted,
    };
    LoadError::Read(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::errors;
    use crate::resolve::ResolveError;

    fn failures() -> Vec<LoadError> {
        let read = [
            ReadError::NotFound,
            ReadError::Disabled,
            ReadError::Forbidden("ForbiddenByRbac".to_owned()),
            ReadError::Throttled { retry_after: None },
            ReadError::Throttled { retry_after: Some(Duration::from_secs(7)) },
            ReadError::Paused { retry_after: Duration::from_millis(1_500), throttled: true },
            ReadError::Paused { retry_after: Duration::from_secs(3), throttled: false },
            ReadError::Unreachable("503".to_owned()),
            ReadError::NoToken("Entra is down".to_owned()),
            ReadError::Malformed("no id".to_owned()),
        ];
        let parse = [RenderError::TooLarge, RenderError::NoRoot, RenderError::Elsewhere("as told".to_owned())];
        let read = read.into_iter().map(LoadError::Read);
        let rest = [LoadError::Interrupted, LoadError::Busy, LoadError::NoOwner, LoadError::Unsettled];
        read.chain(parse.into_iter().map(LoadError::Parse)).chain(rest).collect()
    }

    #[test]
    fn every_failure_means_the_same_and_reads_the_same_where_it_arrives() {
        let verdict = |source| {
            let text = String::new;
            errors::of_resolve(&ResolveError::Load { secret: text(), object: text(), vault: text(), source })
        };
        for sent in failures() {
            let arrived = to_failure(of_failure(&sent));
            assert_eq!(arrived.to_string(), sent.to_string());
            assert_eq!(verdict(arrived.clone()), verdict(sent.clone()), "{sent}");
            match (&sent, &arrived) {
                (LoadError::Read(sent), LoadError::Read(arrived)) => assert_eq!(sent, arrived),
                (sent, arrived) => {
                    assert_eq!(std::mem::discriminant(sent), std::mem::discriminant(arrived), "{sent}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_known_is_worth_another_try() {
        let unknown = v1::ReadFailure { kind: 4_711, ..v1::ReadFailure::default() };
        assert!(matches!(to_failure(unknown), LoadError::Interrupted));
    }
}
