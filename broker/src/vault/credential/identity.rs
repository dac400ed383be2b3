//! One identity at one authority for one audience: its token, and who waits for the next.
//!
//! Every SDK client asks here. One sign-in runs at a time, on a task of its own, whoever waits and whoever gives up.
//! A token that still holds is given out while the next one is fetched, so nobody waits for a slow authority without
//! need; an authority that fails is asked again after a growing pause and not by every read.

mod pause;
mod state;
mod status;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use azure_core::{
    credentials::{AccessToken, TokenCredential},
    time::OffsetDateTime,
};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use self::state::{Need, State, Step};
use super::SignInError;

pub(super) use self::state::REFRESH_AHEAD;
use self::state::{Failure, Outcome};
pub use self::status::{IdentityStatus, Named};

/// At most one renewal in this time: a vault that refuses every token must not turn each read into a sign-in. And a
/// token younger than this counts as fresh.
pub(crate) const RENEWAL_PAUSE: Duration = Duration::from_secs(30);

/// A token for all who act as one identity.
pub(crate) struct Identity {
    named: Named,
    scope: String,
    source: Arc<dyn TokenCredential>,
    pause: Duration,
    state: Arc<Mutex<State>>,
    /// Aborted with the identity.
    sign_ins: Mutex<JoinSet<()>>,
}

/// What came of asking for a fresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The token in use was fetched moments ago, now or before: what a vault says to it is its answer.
    Fresh,
    /// No fresh token is to be had: what a vault says to the old one proves nothing new.
    Stale,
}

impl Identity {
    /// Gets its tokens for `audience` from `source`, which must not keep them. Nothing is sent before one is needed.
    pub(crate) fn new(named: Named, audience: &str, source: Arc<dyn TokenCredential>) -> Self {
        Self::renewed_each(RENEWAL_PAUSE, named, audience, source)
    }

    pub(super) fn renewed_each(
        pause: Duration,
        named: Named,
        audience: &str,
        source: Arc<dyn TokenCredential>,
    ) -> Self {
        let scope = format!("{}/.default", audience.trim_end_matches('/'));
        Self { named, scope, source, pause, state: Arc::default(), sign_ins: Mutex::default() }
    }

    /// The only scope that tokens are given for.
    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    /// A token and its generation. `refused` is the generation of a token that a vault refused although it should
    /// still hold (revoked, keys rolled, clock): it is not given again unless it was itself a replacement a moment ago.
    pub(super) async fn token(&self, refused: Option<u64>) -> azure_core::Result<(u64, AccessToken)> {
        let outcome = self.outcome(refused.map_or(Need::Any, Need::NewerThan)).await;
        outcome.map_err(azure_core::Error::from)
    }

    /// After a vault said no to a good token, as it does when rights were taken or not yet given: fetches a token anew,
    /// unless the one in use is fresh. The old one stays in use where no new one is to be had.
    pub(crate) async fn renew_now(&self) -> Renewal {
        match self.outcome(Need::Fresh).await {
            Ok(_) => Renewal::Fresh,
            Err(_) => Renewal::Stale,
        }
    }

    /// For metrics.
    pub(crate) fn status(&self) -> IdentityStatus {
        self.lock().status(&self.named)
    }

    async fn outcome(&self, need: Need) -> Outcome {
        let mut ended = {
            let mut state = self.lock();
            match state.step(need, self.pause, Instant::now(), OffsetDateTime::now_utc()) {
                Step::Use(token) => return Ok(token),
                Step::UseAndRenew(token) => {
                    self.sign_in(&mut state);
                    return Ok(token);
                }
                Step::Refuse(failure) => return Err(failure),
                Step::Wait => {
                    if matches!(need, Need::NewerThan(_)) {
                        state.renewal_begins(Instant::now());
                    }
                    self.sign_in(&mut state)
                }
            }
        };
        let outcome = ended.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| Err(Failure::from(azure_core::Error::from(SignInError::Interrupted))))
    }

    /// Joins the sign-in under way, or begins one.
    fn sign_in(&self, state: &mut State) -> watch::Receiver<Option<Outcome>> {
        if let Some(ended) = state.under_way() {
            return ended;
        }
        let (tell, ended) = watch::channel(None);
        state.begin(ended.clone());
        let (source, scope, shared) = (Arc::clone(&self.source), self.scope.clone(), Arc::clone(&self.state));
        let mut sign_ins = self.sign_ins.lock().unwrap_or_else(PoisonError::into_inner);
        while sign_ins.try_join_next().is_some() {}
        sign_ins.spawn(async move {
            let received = source.get_token(&[&scope], None).await;
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = state.settle(received, Instant::now(), OffsetDateTime::now_utc(), pause::fraction());
            tell.send_replace(Some(outcome));
        });
        ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("named", &self.named).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
