//! What can happen to a call. `faults.md` has an example of each as JSON.

use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::Target;
use crate::vault::dates::http_date;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// It is answered with this status, and nothing is done.
    Status {
        /// The HTTP status.
        code: u16,
        /// `Retry-After`; absent, the answer has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<RetryAfter>,
        /// `innererror.code`, such as `ForbiddenByRbac`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inner: Option<String>,
    },
    /// It is answered with a page of HTML, as a proxy on the way would, and nothing is done.
    Html {
        /// The HTTP status, 200 too.
        code: u16,
    },
    /// Its caller has lost this.
    Revoked(Revocation),
    /// It is done after this many milliseconds.
    Delay {
        /// How long.
        millis: u64,
    },
    /// It is done after a time in this range that the rule's seed decides.
    Latency {
        /// The least, in milliseconds.
        from_millis: u64,
        /// The most.
        to_millis: u64,
    },
    /// It waits until the gate of this name is released, then it is done.
    Hold {
        /// The gate; made on first use.
        gate: String,
    },
    /// It is read and not answered while its client waits and the rule is not lifted; then it is done.
    Hang,
    /// Its connection is reset (TCP RST) before any byte of the answer; nothing is done.
    Reset,
    /// It is done, and its answer arrives damaged.
    Body(BodyFault),
    /// It is done, and what it lists is not what is there. Strikes lists alone.
    Page(PageFault),
}

/// A pause asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RetryAfter {
    /// This many seconds.
    Seconds(u64),
    /// Until a date, written as HTTP writes dates.
    Date {
        /// So many seconds from now by the emulator's clock.
        #[serde(rename = "dateIn")]
        date_in: u64,
    },
}

impl RetryAfter {
    /// The header's value; `now` is by the emulator's clock.
    pub(in crate::vault) fn header(self, now: i64) -> Option<HeaderValue> {
        match self {
            Self::Seconds(seconds) => Some(seconds.into()),
            Self::Date { date_in } => http_date(now.saturating_add_unsigned(date_in)).parse().ok(),
        }
    }
}

/// What a caller has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Revocation {
    /// Its rights: vaults answer 403 `ForbiddenByRbac`, and it still gets tokens.
    Rights,
    /// Itself: vaults answer 401, Entra 400 `AADSTS700016`, the managed identity endpoints 400.
    Identity,
    /// What it signs in with: Entra answers 401 `AADSTS7000222`, and tokens it has still hold.
    Credential,
}

/// How an answer arrives damaged. Status line and headers are those of the whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum BodyFault {
    /// The first bytes come, then silence; the rest follows when the rule is lifted.
    HalfOpen {
        /// How many.
        bytes: usize,
    },
    /// The first bytes come, fewer than `Content-Length` says, then the connection ends.
    Truncated {
        /// How many.
        bytes: usize,
    },
    /// Blanks follow, which JSON allows, until the body has this many bytes.
    Oversize {
        /// How many.
        bytes: usize,
        /// Without a `Content-Length` that would give it away.
        #[serde(default)]
        chunked: bool,
    },
}

/// How a page of a list is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum PageFault {
    /// Items are missing: each with this chance by the rule's seed, and one at least.
    Torn {
        /// The chance, above 0 and at most 1.
        share: f64,
    },
    /// It has no `nextLink` although items follow.
    Cut,
    /// Each item is as it was before it last changed: not yet deleted, with its older `updated`. Items that never
    /// changed are as they are.
    Stale,
    /// Its `nextLink` leads to itself.
    RepeatNextLink,
    /// Its `nextLink` leads to another origin.
    ForeignNextLink {
        /// Such as `https://elsewhere.example:443`.
        origin: String,
    },
}

impl Fault {
    /// Whether this can happen to such a call at all.
    pub(super) fn fits(&self, target: &Target<'_>) -> bool {
        match self {
            Self::Page(_) => target.operation.contains("List"),
            Self::Revoked(Revocation::Rights) => !target.asks_for_token(),
            Self::Revoked(Revocation::Credential) => target.asks_for_token() && target.vault == "entra",
            _ => true,
        }
    }

    /// What is wrong with it, if anything.
    pub(super) fn complaint(&self) -> Option<&'static str> {
        match self {
            Self::Status { code, .. } | Self::Html { code } if !(200..=599).contains(code) => {
                Some("a status is from 200 to 599")
            }
            Self::Latency { from_millis, to_millis } if from_millis > to_millis => {
                Some("fromMillis must not be above toMillis")
            }
            Self::Page(PageFault::Torn { share }) if !is_chance(*share) => {
                Some("a torn page's share is above 0 and at most 1")
            }
            _ => None,
        }
    }
}

/// Above 0, so that it can happen, and at most 1.
pub(super) fn is_chance(chance: f64) -> bool {
    chance > 0.0 && chance <= 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_written_in_seconds_or_as_a_date() {
        assert_eq!(RetryAfter::Seconds(7).header(0).unwrap(), "7");
        let date = RetryAfter::Date { date_in: 60 }.header(784_111_717).unwrap();
        assert_eq!(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn faults_strike_only_calls_they_make_sense_for() {
        let target = |vault, operation| Target { vault, operation, object: "", client: None, admitted: true };
        for (fault, vault, operation, fits) in [
            (Fault::Page(PageFault::Cut), "acme", "SecretList", true),
            (Fault::Page(PageFault::Cut), "acme", "KeyListVersions", true),
            (Fault::Page(PageFault::Cut), "acme", "SecretGet", false),
            (Fault::Page(PageFault::Cut), "entra", "Token", false),
            (Fault::Revoked(Revocation::Rights), "acme", "SecretGet", true),
            (Fault::Revoked(Revocation::Rights), "entra", "Token", false),
            (Fault::Revoked(Revocation::Credential), "entra", "Token", true),
            (Fault::Revoked(Revocation::Credential), "imds", "Token", false),
            (Fault::Revoked(Revocation::Credential), "acme", "SecretGet", false),
            (Fault::Revoked(Revocation::Identity), "imds", "Token", true),
            (Fault::Reset, "entra", "Token", true),
        ] {
            assert_eq!(fault.fits(&target(vault, operation)), fits, "{fault:?} {vault} {operation}");
        }
    }

    #[test]
    fn faults_that_make_no_sense_are_complained_of() {
        for fault in [
            Fault::Status { code: 99, retry_after: None, inner: None },
            Fault::Html { code: 600 },
            Fault::Latency { from_millis: 2, to_millis: 1 },
            Fault::Page(PageFault::Torn { share: 0.0 }),
            Fault::Page(PageFault::Torn { share: 1.1 }),
            Fault::Page(PageFault::Torn { share: f64::NAN }),
        ] {
            assert!(fault.complaint().is_some(), "{fault:?}");
        }
        assert_eq!(Fault::Latency { from_millis: 1, to_millis: 1 }.complaint(), None);
    }
}
