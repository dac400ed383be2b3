//! Least read: a pod's token resolves what its own containers carry, once for each of their starts. Called by
//! [`crate::grpc`], before anything is read and again before anything is handed out.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`claim`], [`nonce`] | what a request says of itself | none: pure |
//! | [`pod`], [`start`] | a pod's JSON → what its containers carry, which of their starts it shows | none: pure |
//! | [`ledger`] | who was given its values | none: pure |
//! | [`redemptions`] | where the records are | |
//! | [`shared`] | the same with several replicas: with whoever owns the pod | gRPC |
//! | `wire` | records as replicas send them | none: pure |
//! | [`refusal`] | why there is nothing to be had | none: pure |
//! | `kept` | pods as they were read a moment ago | |
//! | `waits` | how many wait for a restart to show | |
//! | [`counts`] | how it went | |
//!
//! The pod is read once for each request ([`crate::cluster::pods`]), by the name in the token. Where the API server does not
//! answer, what was read of it less than 30 s ago holds, and everybody else tries again.

pub mod claim;
pub mod counts;
mod kept;
pub mod ledger;
pub mod nonce;
pub mod pod;
pub mod redemptions;
pub mod refusal;
pub mod shared;
pub mod start;
#[cfg(test)]
mod tests;
mod waits;
mod wire;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use keyward_types::Reference;
use tokio::time::{Instant, sleep_until, timeout};

use self::{
    claim::Claim,
    counts::Counts,
    kept::{HURRY, Kept},
    ledger::{Key, Redemption, Verdict},
    pod::Pod,
    redemptions::Redemptions,
    refusal::{Place, Refusal},
    waits::Waits,
};
use crate::{authn::Caller, cluster::pods::Pods};

pub use self::ledger::Grant;

/// How long one request waits for its restart to show. A status lags by a second or so.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it looks.
const EVERY: Duration = Duration::from_millis(300);

/// Binds tokens to their pods' containers.
pub struct Binding {
    pods: Arc<Pods>,
    redemptions: Arc<dyn Redemptions>,
    kept: Kept,
    waits: Waits,
    counts: Counts,
}

/// A request whose references its pod carries.
#[derive(Clone, Debug)]
pub struct Bound {
    claim: Claim,
    pod: Arc<Pod>,
}

/// Why values are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// To a process of a container.
    Process(Grant),
    /// To a launcher that was not told its container's name, in a pod none of whose launchers was.
    Unnamed,
}

impl Redeemed {
    /// As audit lines spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process(Grant::First) => "granted",
            Self::Process(Grant::Unrecorded) => "unrecorded",
            Self::Process(Grant::Repeated) => "repeated",
            Self::Process(Grant::Restarted) => "restarted",
            Self::Unnamed => "unnamed",
        }
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding").finish_non_exhaustive()
    }
}

impl Binding {
    /// By what `pods` show and `redemptions` have recorded.
    pub fn new(pods: Arc<Pods>, redemptions: Arc<dyn Redemptions>) -> Self {
        Self { pods, redemptions, kept: Kept::default(), waits: Waits::default(), counts: Counts::default() }
    }

    /// How it went so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether `caller` may ask for `asked`, by what its pod carries.
    pub async fn check(&self, caller: &Caller, claim: Claim, asked: &[Reference]) -> Result<Bound, Refusal> {
        let checked = self.carried(caller, claim, asked).await;
        checked.inspect_err(|refusal| self.counts.refused(refusal.reason()))
    }

    /// Whether the values may be handed out now; if so, they have been. Waits a while for a restart to show.
    pub async fn redeem(&self, caller: &Caller, bound: Bound) -> Result<Redeemed, Refusal> {
        let Bound { claim, pod } = bound;
        let redeemed = match claim {
            Claim::Unnamed => self.launching(caller, &pod).await.map(|()| Redeemed::Unnamed),
            Claim::Process { container, nonce } => {
                let shown = pod.shown(&container, SystemTime::now());
                let key = Arc::new(Key { pod_uid: caller.pod_uid.clone(), container });
                self.granted(caller, Redemption { key, nonce, shown }).await.map(Redeemed::Process)
            }
        };
        match &redeemed {
            Ok(redeemed) => self.counts.granted(*redeemed),
            Err(refusal) => self.counts.refused(refusal.reason()),
        }
        redeemed
    }

    /// The containers of `caller`'s pod that carry `reference`, for whoever asks why. Decides nothing, and counts as nothing.
    pub async fn carriers(&self, caller: &Caller, reference: &Reference) -> Result<Vec<String>, Refusal> {
        Ok(self.known(caller).await?.carriers(reference).map(str::to_owned).collect())
    }

    async fn carried(&self, caller: &Caller, claim: Claim, asked: &[Reference]) -> Result<Bound, Refusal> {
        let pod = self.known(caller).await?;
        let place = || Place::of(caller, claim.container());
        match &claim {
            Claim::Process { container, .. } if !pod.has(container) => return Err(Refusal::NoContainer(place())),
            Claim::Unnamed if pod.tells_names() => return Err(Refusal::Unnamed(place())),
            _ => {}
        }
        let lacking: Vec<_> = pod.lacking(claim.container(), asked).into_iter().cloned().collect();
        if lacking.is_empty() { Ok(Bound { claim, pod }) } else { Err(Refusal::NotCarried { at: place(), lacking }) }
    }

    async fn granted(&self, caller: &Caller, mut redemption: Redemption) -> Result<Grant, Refusal> {
        let place = || Place::of(caller, Some(&redemption.key.container));
        let (until, mut waiting) = (Instant::now() + PATIENCE, None);
        loop {
            let recorded = match self.redemptions.redeem(&redemption).await {
                Ok(Verdict::Granted(grant)) => return Ok(grant),
                Ok(Verdict::Replayed) => return Err(Refusal::Replayed(place())),
                Ok(Verdict::Wait(recorded)) => recorded,
                Err(source) => return Err(Refusal::NoRecords { at: place(), source }),
            };
            if waiting.is_none() {
                let enter = || self.waits.enter(Arc::clone(&redemption.key));
                waiting = Some(enter().ok_or_else(|| Refusal::RestartUnseen(place()))?);
            }
            let pod = self.look(caller, until, |pod| {
                pod.shown(&redemption.key.container, SystemTime::now()).start.is_newer_than(recorded)
            });
            let pod = pod.await?.ok_or_else(|| Refusal::RestartUnseen(place()))?;
            redemption.shown = pod.shown(&redemption.key.container, SystemTime::now());
        }
    }

    /// Returns once any container of `pod` may be launching.
    async fn launching(&self, caller: &Caller, pod: &Pod) -> Result<(), Refusal> {
        if pod.is_launching(SystemTime::now()) {
            return Ok(());
        }
        let unseen = || Refusal::RestartUnseen(Place::of(caller, None));
        let key = Key { pod_uid: caller.pod_uid.clone(), container: String::new() };
        let _waiting = self.waits.enter(Arc::new(key)).ok_or_else(unseen)?;
        let until = Instant::now() + PATIENCE;
        self.look(caller, until, |pod| pod.is_launching(SystemTime::now())).await?.ok_or_else(unseen).map(drop)
    }

    /// Looks at the caller's pod again and again until it is `wanted`; `None` where it is not in time.
    async fn look(
        &self,
        caller: &Caller,
        until: Instant,
        wanted: impl Fn(&Pod) -> bool,
    ) -> Result<Option<Arc<Pod>>, Refusal> {
        let mut next = Instant::now() + EVERY;
        while next <= until {
            sleep_until(next).await;
            let pod = self.read(caller).await?;
            if wanted(&pod) {
                return Ok(Some(pod));
            }
            next = Instant::now() + EVERY;
        }
        Ok(None)
    }

    /// The caller's pod as it is, or else as it was a moment ago.
    async fn known(&self, caller: &Caller) -> Result<Arc<Pod>, Refusal> {
        let Some(kept) = self.kept.get(&caller.pod_uid).await else { return self.read(caller).await };
        match timeout(HURRY, self.read(caller)).await {
            Err(_) | Ok(Err(Refusal::Unreadable { .. })) => Ok(kept),
            Ok(read) => read,
        }
    }

    /// The caller's pod as it is, and no other that has its name.
    async fn read(&self, caller: &Caller) -> Result<Arc<Pod>, Refusal> {
        let Caller { namespace, pod_name, pod_uid, .. } = caller;
        let place = || Place::of(caller, None);
        let pod = self.pods.read(namespace, pod_name).await;
        let pod = pod.map_err(|source| Refusal::Unreadable { at: place(), source })?;
        let refusal = match pod.filter(|pod| pod.uid == *pod_uid) {
            None => Refusal::Gone(place()),
            Some(pod) if pod.has_ended => Refusal::Ended(place()),
            Some(pod) => {
                let pod = Arc::new(pod);
                self.kept.keep(&pod).await;
                return Ok(pod);
            }
        };
        self.kept.forget(pod_uid).await;
        Err(refusal)
    }
}
