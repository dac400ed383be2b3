//! What the broker's refusal means for a secret. Pure.

use std::time::Duration;

use keyward_crds::conditions::Reason;
use keyward_proto::RETRY_AFTER_METADATA;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{backoff::Cause, status::Failure};

/// A failure, and when the broker advises to come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong.
    pub failure: Failure,
    /// The wait it advised.
    pub advised: Option<Duration>,
}

/// Reads `status`. Its message is the broker's own, which names the object and never holds a value.
pub fn of_status(status: &Status) -> Refused {
    let advised = status.metadata().get(RETRY_AFTER_METADATA).and_then(|wait| wait.to_str().ok()?.parse().ok());
    let from_broker = status.get_details_error_info();
    let (reason, cause) = match (status.code(), from_broker.as_ref().map(|info| info.reason.as_str())) {
        (Code::NotFound, _) => (Reason::NotFound, Cause::Told),
        (Code::FailedPrecondition, Some("SECRET_INVALID")) | (Code::InvalidArgument, _) => {
            (Reason::Invalid, Cause::Told)
        }
        (Code::FailedPrecondition | Code::Internal, Some(_)) => (Reason::ObjectUnavailable, Cause::Told),
        // Our own certificate, and not the secret: whoever renews it mends them all.
        (Code::PermissionDenied, Some("CERTIFICATE_WITHOUT_ROLE" | "ROLE_NOT_ADMITTED"))
        | (Code::Unauthenticated, _) => (Reason::VaultUnavailable, Cause::Passing),
        (Code::PermissionDenied, _) => (Reason::Forbidden, Cause::Told),
        _ => (Reason::VaultUnavailable, Cause::Passing),
    };
    let message = if from_broker.is_some() {
        status.message().to_owned()
    } else {
        format!("the broker cannot be reached ({:?}: {})", status.code(), status.message())
    };
    let code = from_broker.map(|info| info.reason).unwrap_or_default();
    let failure = Failure { reason, message, cause, code, repeated: false };
    Refused { failure, advised: advised.map(Duration::from_millis) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn told(code: Code, reason: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, "keyward.dev", HashMap::new());
        Status::with_error_details(code, "AzureKeyVaultSecret shop/db: …", details)
    }

    #[test]
    fn each_code_is_a_reason() {
        for (status, reason, cause) in [
            (told(Code::NotFound, "OBJECT_NOT_FOUND"), Reason::NotFound, Cause::Told),
            (told(Code::PermissionDenied, "NAMESPACE_NOT_ADMITTED"), Reason::Forbidden, Cause::Told),
            (told(Code::PermissionDenied, "ROLE_NOT_ADMITTED"), Reason::VaultUnavailable, Cause::Passing),
            (told(Code::Unauthenticated, "CERTIFICATE_MISSING"), Reason::VaultUnavailable, Cause::Passing),
            (told(Code::FailedPrecondition, "SECRET_INVALID"), Reason::Invalid, Cause::Told),
            (told(Code::FailedPrecondition, "OBJECT_DISABLED"), Reason::ObjectUnavailable, Cause::Told),
            (told(Code::Internal, "VAULT_ANSWER_MALFORMED"), Reason::ObjectUnavailable, Cause::Told),
            (told(Code::Unavailable, "VAULT_UNREACHABLE"), Reason::VaultUnavailable, Cause::Passing),
            (told(Code::ResourceExhausted, "TOO_MANY_REQUESTS"), Reason::VaultUnavailable, Cause::Passing),
            (Status::deadline_exceeded("late"), Reason::VaultUnavailable, Cause::Passing),
            (Status::internal("h2 protocol error"), Reason::VaultUnavailable, Cause::Passing),
            (Status::unavailable("tcp connect error"), Reason::VaultUnavailable, Cause::Passing),
        ] {
            let Refused { failure, advised } = of_status(&status);
            assert_eq!((failure.reason, failure.cause), (reason, cause), "{status:?}");
            assert_eq!(advised, None);
        }
    }

    #[test]
    fn the_brokers_words_and_its_advice_are_kept() {
        let mut status = told(Code::Unavailable, "VAULT_THROTTLED");
        status.metadata_mut().insert(RETRY_AFTER_METADATA, "1500".parse().unwrap());
        let refused = of_status(&status);
        assert_eq!(refused.failure.message, "AzureKeyVaultSecret shop/db: …");
        assert_eq!(
            (refused.advised, refused.failure.code.as_str()),
            (Some(Duration::from_millis(1_500)), "VAULT_THROTTLED")
        );
        let lost = of_status(&Status::unavailable("tcp connect error")).failure.message;
        assert_eq!(lost, "the broker cannot be reached (Unavailable: tcp connect error)");
    }
}
