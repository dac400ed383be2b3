//! What is known of an identity's token, and what follows from it. No I/O; the clocks are parameters.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use azure_core::{
    credentials::AccessToken,
    error::ErrorKind,
    time::{Duration as Span, OffsetDateTime},
};
use tokio::{sync::watch, time::Instant};

use super::{
    pause,
    status::{IdentityStatus, Named},
};
use crate::vault::{
    ReadError, answer,
    credential::{SignInError, error::chain},
};

/// From this long before a token's end the next one is fetched. The SDK asks from then on too.
pub(crate) const REFRESH_AHEAD: Span = Span::minutes(5);

/// What came of a sign-in, for all who waited.
pub(crate) type Outcome = Result<(u64, AccessToken), Failure>;

/// Why there is no token.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Arc<azure_core::Error>);

/// What a caller makes do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Any token that holds.
    Any,
    /// Not the one of this generation, which a vault refused.
    NewerThan(u64),
    /// One that was fetched moments ago.
    Fresh,
}

/// What to do for a caller.
#[derive(Debug)]
pub(super) enum Step {
    Use((u64, AccessToken)),
    UseAndRenew((u64, AccessToken)),
    Wait,
    Refuse(Failure),
}

/// Everything known.
#[derive(Default)]
pub(super) struct State {
    held: Option<Held>,
    generation: u64,
    renewal_began: Option<Instant>,
    under_way: Option<watch::Receiver<Option<Outcome>>>,
    trouble: Option<Trouble>,
    succeeded: u64,
    failed: u64,
}

struct Held {
    token: AccessToken,
    fetched: Instant,
    fetched_at: OffsetDateTime,
}

struct Trouble {
    failure: Failure,
    in_a_row: u32,
    /// When an authority may be asked again.
    until: Instant,
}

impl State {
    /// What to do for whoever needs a token. `pause` is the age up to which a token counts as fresh, and the least time
    /// between renewals.
    pub(super) fn step(&self, need: Need, pause: Duration, now: Instant, wall: OffsetDateTime) -> Step {
        let recent = |then: Instant| now.saturating_duration_since(then) < pause;
        let Some(held) = self.held.as_ref().filter(|held| held.token.expires_on > wall) else {
            return self.fetch(now);
        };
        let current = || (self.generation, held.token.clone());
        match need {
            Need::Any if held.token.expires_on > wall + REFRESH_AHEAD => Step::Use(current()),
            // A source that gives short-lived tokens, or the same one again, is not asked by every read.
            Need::Any if recent(held.fetched) || self.under_way().is_some() || self.pausing(now).is_some() => {
                Step::Use(current())
            }
            Need::Any => Step::UseAndRenew(current()),
            Need::NewerThan(refused) if refused != self.generation => Step::Use(current()),
            // While it runs, the renewal is waited for: the token at hand is known to be refused.
            Need::NewerThan(_) if self.under_way().is_none() && self.renewal_began.is_some_and(recent) => {
                self.pausing(now).map_or_else(|| Step::Use(current()), Step::Refuse)
            }
            Need::Fresh if recent(held.fetched) => Step::Use(current()),
            Need::NewerThan(_) | Need::Fresh => self.fetch(now),
        }
    }

    fn fetch(&self, now: Instant) -> Step {
        match self.pausing(now) {
            Some(failure) if self.under_way().is_none() => Step::Refuse(failure),
            _ => Step::Wait,
        }
    }

    /// The failure after which the authority is left alone for now.
    fn pausing(&self, now: Instant) -> Option<Failure> {
        self.trouble.as_ref().filter(|trouble| now < trouble.until).map(|trouble| trouble.failure.clone())
    }

    /// The sign-in under way; none where its task is gone.
    pub(super) fn under_way(&self) -> Option<watch::Receiver<Option<Outcome>>> {
        self.under_way.as_ref().filter(|ended| ended.has_changed().is_ok()).cloned()
    }

    pub(super) fn begin(&mut self, ended: watch::Receiver<Option<Outcome>>) {
        self.under_way = Some(ended);
    }

    /// A refused token is being replaced.
    pub(super) fn renewal_begins(&mut self, now: Instant) {
        self.renewal_began = Some(now);
    }

    /// Takes in what a sign-in brought.
    pub(super) fn settle(
        &mut self,
        received: azure_core::Result<AccessToken>,
        now: Instant,
        wall: OffsetDateTime,
        fraction: u8,
    ) -> Outcome {
        self.under_way = None;
        let alive = received
            .and_then(|token| if token.expires_on > wall { Ok(token) } else { Err(SignInError::Expired.into()) });
        match alive {
            Ok(token) => {
                self.generation += 1;
                self.succeeded += 1;
                self.trouble = None;
                self.held = Some(Held { token: token.clone(), fetched: now, fetched_at: wall });
                Ok((self.generation, token))
            }
            Err(error) => {
                self.failed += 1;
                let in_a_row = self.trouble.as_ref().map_or(0, |trouble| trouble.in_a_row).saturating_add(1);
                let local = SignInError::within(&error).is_some_and(SignInError::is_local);
                let pause = if local { Duration::ZERO } else { pause::after(in_a_row, asked(&error, wall), fraction) };
                let failure = Failure::from(error);
                self.trouble = Some(Trouble { failure: failure.clone(), in_a_row, until: now + pause });
                Err(failure)
            }
        }
    }

    pub(super) fn status(&self, named: &Named) -> IdentityStatus {
        IdentityStatus {
            named: named.clone(),
            token_fetched: self.held.as_ref().map(|held| held.fetched_at),
            token_expires: self.held.as_ref().map(|held| held.token.expires_on),
            last_error: self.trouble.as_ref().map(|trouble| trouble.failure.meaning().to_string()),
            sign_ins: self.succeeded,
            failures: self.failed,
        }
    }
}

/// The pause that an authority which throttles asks for.
fn asked(error: &azure_core::Error, wall: OffsetDateTime) -> Option<Duration> {
    let innermost = chain(error).filter_map(<dyn StdError>::downcast_ref::<azure_core::Error>).last()?;
    match innermost.kind() {
        ErrorKind::HttpResponse { .. } => match answer::read_error(innermost, wall) {
            ReadError::Throttled { retry_after } => retry_after,
            _ => None,
        },
        _ => None,
    }
}

impl Failure {
    /// What it means, in words that quote no body.
    fn meaning(&self) -> ReadError {
        answer::read_error(&self.0, OffsetDateTime::UNIX_EPOCH)
    }
}

impl From<azure_core::Error> for Failure {
    fn from(error: azure_core::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no token")
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.0.as_ref())
    }
}

impl From<Failure> for azure_core::Error {
    fn from(failure: Failure) -> Self {
        Self::new(ErrorKind::Credential, failure)
    }
}

#[cfg(test)]
mod tests;
