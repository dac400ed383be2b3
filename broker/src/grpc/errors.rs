//! The one map from what went wrong to a gRPC status, its code chosen by what the caller should do.

use std::{collections::HashMap, time::Duration};

use keyward_proto::{ERROR_DOMAIN, MAX_REPLY_BYTES, RETRY_AFTER_METADATA};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    authn::{AuthnError, operators::OperatorError},
    authz::Denial,
    binding::refusal::{Reason, Refusal},
    cache::LoadError,
    fetch::FetchError,
    milliseconds::milliseconds,
    resolve::{Outcome, ResolveError, Trail},
    vault::ReadError,
};

/// When to ask again where the vault did not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The longest wait ever advised: a hostile or odd `Retry-After` must not park a launcher.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// References named in one message; the audit line has them all.
const NAMED: usize = 5;

/// Code and machine-readable reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the caller should do.
    pub code: Code,
    /// `google.rpc.ErrorInfo.reason`
    pub reason: &'static str,
    /// When to try again; set for `UNAVAILABLE`, and for `RESOURCE_EXHAUSTED` where waiting helps.
    pub retry_after: Option<Duration>,
}

fn verdict(code: Code, reason: &'static str) -> Verdict {
    Verdict { code, reason, retry_after: (code == Code::Unavailable).then_some(RETRY_AFTER) }
}

/// What the failure of one reference means to the caller.
pub fn of_resolve(error: &ResolveError) -> Verdict {
    match error {
        ResolveError::Denied(denial) => of_denial(denial),
        ResolveError::Load { source: LoadError::Read(error), .. } => of_read(error),
        ResolveError::Load { source: LoadError::Parse(_), .. } => verdict(Code::FailedPrecondition, "OBJECT_MALFORMED"),
        ResolveError::Load { source: LoadError::Interrupted, .. } => verdict(Code::Unavailable, "BROKER_STOPPING"),
        ResolveError::Load { source: LoadError::NoOwner, .. } => verdict(Code::Unavailable, "OWNER_LOST"),
        ResolveError::Load { source: LoadError::Busy | LoadError::Unsettled, .. } => {
            verdict(Code::Unavailable, "BROKER_BUSY")
        }
        ResolveError::Late { .. } => verdict(Code::Unavailable, "VAULT_SLOW"),
        ResolveError::Cancelled => verdict(Code::Cancelled, "CALLER_GONE"),
        ResolveError::Render { .. } => verdict(Code::FailedPrecondition, "OBJECT_HAS_NO_SUCH_VIEW"),
    }
}

fn of_denial(denial: &Denial) -> Verdict {
    match denial {
        Denial::NotSynced => verdict(Code::Unavailable, "NOT_SYNCED"),
        Denial::UnknownSecret { .. } => verdict(Code::NotFound, "SECRET_UNKNOWN"),
        Denial::InvalidSecret { .. } => verdict(Code::FailedPrecondition, "SECRET_INVALID"),
        Denial::UndeclaredVault { .. } => verdict(Code::PermissionDenied, "VAULT_UNDECLARED"),
        Denial::InvalidVault { .. } => verdict(Code::PermissionDenied, "VAULT_DECLARATION_INVALID"),
        Denial::Namespace { .. } => verdict(Code::PermissionDenied, "NAMESPACE_NOT_ADMITTED"),
        Denial::Object { .. } => verdict(Code::PermissionDenied, "OBJECT_NOT_ADMITTED"),
    }
}

fn of_read(error: &ReadError) -> Verdict {
    match error {
        ReadError::NotFound => verdict(Code::NotFound, "OBJECT_NOT_FOUND"),
        ReadError::Disabled => verdict(Code::FailedPrecondition, "OBJECT_DISABLED"),
        ReadError::Forbidden(_) => verdict(Code::FailedPrecondition, "VAULT_REFUSES_BROKER"),
        ReadError::Throttled { retry_after } => Verdict {
            retry_after: Some(retry_after.unwrap_or(RETRY_AFTER).clamp(RETRY_AFTER, MAX_RETRY_AFTER)),
            ..verdict(Code::Unavailable, "VAULT_THROTTLED")
        },
        ReadError::Paused { retry_after, .. } => Verdict {
            retry_after: Some((*retry_after).clamp(Duration::from_millis(100), MAX_RETRY_AFTER)),
            ..verdict(Code::Unavailable, "VAULT_LEFT_ALONE")
        },
        ReadError::Unreachable(_) => verdict(Code::Unavailable, "VAULT_UNREACHABLE"),
        ReadError::NoToken(_) => verdict(Code::Unavailable, "NO_AZURE_TOKEN"),
        ReadError::Malformed(_) => verdict(Code::Internal, "VAULT_ANSWER_MALFORMED"),
    }
}

/// What it means that nothing can be decided yet.
pub fn not_synced() -> Status {
    status(of_denial(&Denial::NotSynced), Denial::NotSynced.to_string(), &[])
}

/// What a refused token means to the caller.
pub fn of_authn(error: &AuthnError) -> Verdict {
    match error {
        AuthnError::Unavailable(_) => verdict(Code::Unavailable, "TOKENS_NOT_VERIFIABLE"),
        _ => verdict(Code::Unauthenticated, "TOKEN_REFUSED"),
    }
}

/// What it means that a token is not worth this to its pod.
pub fn of_binding(refusal: &Refusal) -> Status {
    let verdict = match refusal.reason() {
        Reason::NoContainer => verdict(Code::PermissionDenied, "CONTAINER_UNKNOWN"),
        Reason::NoName => verdict(Code::FailedPrecondition, "CONTAINER_NOT_NAMED"),
        Reason::NotCarried => verdict(Code::PermissionDenied, "REFERENCE_NOT_CARRIED"),
        Reason::Gone => verdict(Code::PermissionDenied, "POD_GONE"),
        Reason::Ended => verdict(Code::PermissionDenied, "POD_ENDED"),
        Reason::Replayed => verdict(Code::PermissionDenied, "TOKEN_REPLAYED"),
        Reason::RestartUnseen => verdict(Code::Unavailable, "RESTART_NOT_SEEN"),
        Reason::Unreadable => verdict(Code::Unavailable, "POD_NOT_READABLE"),
        Reason::NoRecords => verdict(Code::Unavailable, "RECORDS_NOT_READABLE"),
    };
    let reference = refusal.reference().map(ToString::to_string);
    let about: Vec<_> = reference.iter().map(|reference| ("reference", reference.as_str())).collect();
    status(verdict, refusal.to_string(), &about)
}

/// What it means that an operator's token opens nothing.
pub fn of_operator(error: &OperatorError) -> Status {
    let verdict = match error {
        OperatorError::Token(error) => of_authn(error),
        OperatorError::Forbidden { .. } => verdict(Code::PermissionDenied, "OPERATOR_NOT_ADMITTED"),
    };
    status(verdict, error.to_string(), &[])
}

/// What a failed `Fetch` means to the controller.
pub fn of_fetch(error: &FetchError) -> Verdict {
    match error {
        FetchError::Unknown { .. } => verdict(Code::Unavailable, "SECRET_NOT_YET_KNOWN"),
        FetchError::Replaced { .. } => verdict(Code::Unavailable, "SECRET_REPLACED"),
        FetchError::NoOutput { .. } => verdict(Code::FailedPrecondition, "SECRET_WITHOUT_OUTPUT"),
        FetchError::Resolve(error) => of_resolve(error),
    }
}

/// A refusal that is about no object, only about the request.
pub fn refusal(code: Code, reason: &'static str, message: impl Into<String>) -> Status {
    status(verdict(code, reason), message, &[])
}

/// A request that is malformed, or has too much of something.
pub fn invalid(message: impl Into<String>) -> Status {
    refusal(Code::InvalidArgument, "REQUEST_INVALID", message)
}

/// An identity that asks too often, and how long it is to wait.
pub fn too_many_requests(wait: Duration) -> Status {
    let wait = wait.clamp(Duration::from_millis(1), MAX_RETRY_AFTER);
    let verdict = Verdict { code: Code::ResourceExhausted, reason: "TOO_MANY_REQUESTS", retry_after: Some(wait) };
    status(verdict, "too many requests of this identity; wait and ask for more references at once", &[])
}

/// Somebody whose tokens were refused too often, and how long it is to wait.
pub fn too_many_refusals(wait: Duration) -> Status {
    let wait = wait.clamp(Duration::from_secs(1), MAX_RETRY_AFTER);
    let verdict = Verdict { code: Code::ResourceExhausted, reason: "TOO_MANY_REFUSALS", retry_after: Some(wait) };
    status(verdict, "too many tokens from this address were refused; wait", &[])
}

/// A reply that no client would take. The number is the bytes that it would have.
pub fn too_large(bytes: usize) -> Status {
    let message =
        format!("the values have {bytes} bytes together; a reply has at most {MAX_REPLY_BYTES}: ask for fewer");
    refusal(Code::FailedPrecondition, "REPLY_TOO_LARGE", message)
}

/// Nothing is handed out that is not written down.
pub fn unaudited() -> Status {
    let message = "the broker cannot write its audit log; an operator must look at its output";
    refusal(Code::Unavailable, "AUDIT_UNWRITABLE", message)
}

/// The order in which failures of several references win: what trying again cannot mend comes first.
fn rank(code: Code) -> u8 {
    match code {
        Code::PermissionDenied => 0,
        Code::NotFound => 1,
        Code::FailedPrecondition => 2,
        Code::Unavailable => 4,
        _ => 3,
    }
}

/// One status for all the failures among `outcomes`; `None` when there is none. Its message names every reference at
/// fault, up to a bound; its `ErrorInfo` is about the first of the kind that won.
pub fn of_outcomes(outcomes: &[Outcome]) -> Option<Status> {
    let mut failed: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.value.as_ref().err().map(|error| (outcome, error, of_resolve(error))))
        .collect();
    failed.sort_by_key(|(_, _, verdict)| rank(verdict.code));
    let (first, _, mut verdict) = *failed.first()?;
    if verdict.code == Code::Unavailable {
        verdict.retry_after = failed.iter().filter_map(|(_, _, verdict)| verdict.retry_after).max();
    }
    let more = failed.len().saturating_sub(NAMED);
    let named = failed.iter().take(NAMED).map(|(outcome, error, _)| format!("{}: {error}", outcome.reference));
    let message = named.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>().join("; ");
    let reference = first.reference.to_string();
    let mut about = vec![("reference", reference.as_str())];
    let source = first.trail.as_ref().map(source);
    about.extend(source.iter().flatten().map(|(name, value)| (*name, value.as_str())));
    Some(status(verdict, message, &about))
}

/// Where what a status is about would have come from.
pub fn source(trail: &Trail) -> [(&'static str, String); 2] {
    [("vault", trail.vault().to_string()), ("object", trail.object().to_string())]
}

/// A status that carries `google.rpc.ErrorInfo`, and `google.rpc.RetryInfo` where trying again makes sense.
pub fn status(verdict: Verdict, message: impl Into<String>, about: &[(&str, &str)]) -> Status {
    let metadata: HashMap<String, String> =
        about.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut details = ErrorDetails::with_error_info(verdict.reason, ERROR_DOMAIN, metadata);
    if verdict.retry_after.is_some() {
        details.set_retry_info(verdict.retry_after);
    }
    let mut status = Status::with_error_details(verdict.code, message, details);
    if let Some(wait) = verdict.retry_after {
        status.metadata_mut().insert(RETRY_AFTER_METADATA, milliseconds(wait).into());
    }
    status
}

#[cfg(test)]
mod tests {
    use keyward_types::{Reference, SecretBytes};

    use super::*;

    fn outcome(name: &str, value: Result<SecretBytes, ResolveError>) -> Outcome {
        Outcome { reference: Reference::new(name, None).unwrap(), trail: None, value }
    }

    fn read(name: &str, error: ReadError) -> Outcome {
        let load = ResolveError::Load {
            secret: format!("AzureKeyVaultSecret shop/{name}"),
            object: format!("secret `{name}`"),
            vault: "https://acme.vault.azure.net".into(),
            source: error.into(),
        };
        outcome(name, Err(load))
    }

    #[test]
    fn the_code_says_what_the_caller_should_do() {
        for (error, code) in [
            (ReadError::NotFound, Code::NotFound),
            (ReadError::Disabled, Code::FailedPrecondition),
            (ReadError::Forbidden("ForbiddenByRbac".into()), Code::FailedPrecondition),
            (ReadError::Throttled { retry_after: None }, Code::Unavailable),
            (ReadError::Unreachable("503".into()), Code::Unavailable),
            (ReadError::NoToken("down".into()), Code::Unavailable),
            (ReadError::Malformed("id".into()), Code::Internal),
        ] {
            let status = of_outcomes(&[read("db", error.clone())]).unwrap();
            assert_eq!(status.code(), code, "{error}");
            assert_eq!(status.metadata().contains_key(RETRY_AFTER_METADATA), code == Code::Unavailable, "{error}");
            assert_eq!(status.get_details_retry_info().is_some(), code == Code::Unavailable, "{error}");
            assert_eq!(status.get_details_error_info().unwrap().domain, "keyward.dev");
        }
    }

    #[test]
    fn what_trying_again_cannot_mend_wins_and_all_are_named() {
        let unknown = Denial::UnknownSecret { namespace: "shop".into(), name: "b".into() };
        let outcomes = [
            read("a", ReadError::Unreachable("503".into())),
            outcome("ok", Ok(SecretBytes::from("kwcanary"))),
            outcome("b", Err(unknown.into())),
        ];
        let status = of_outcomes(&outcomes).unwrap();
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().starts_with("b@azurekeyvault: AzureKeyVaultSecret shop/b does not exist"));
        assert!(status.message().contains("a@azurekeyvault: AzureKeyVaultSecret shop/a: secret `a` of https://acme"));
        assert!(!status.message().contains("kwcanary"));
        assert_eq!(status.get_details_error_info().unwrap().metadata["reference"], "b@azurekeyvault");
    }

    #[test]
    fn the_longest_pause_is_advised_within_bounds() {
        let throttled = |name, secs| read(name, ReadError::Throttled { retry_after: Some(Duration::from_secs(secs)) });
        let status = of_outcomes(&[throttled("a", 2), throttled("b", 9), throttled("c", 0)]).unwrap();
        assert_eq!(status.metadata().get(RETRY_AFTER_METADATA).unwrap(), "9000");
        let status = of_outcomes(&[throttled("a", 86_400)]).unwrap();
        assert_eq!(status.metadata().get(RETRY_AFTER_METADATA).unwrap(), "60000");
    }

    #[test]
    fn a_thousand_failures_make_one_bounded_message() {
        let outcomes: Vec<_> = (0..1000).map(|n| read(&format!("o{n}"), ReadError::Disabled)).collect();
        let message = of_outcomes(&outcomes).unwrap().message().to_owned();
        assert!(message.ends_with("; and 995 more") && message.len() < 2_000, "{message}");
    }

    #[test]
    fn no_failure_is_no_status() {
        assert!(of_outcomes(&[outcome("ok", Ok(SecretBytes::from("kwcanary")))]).is_none());
    }
}
