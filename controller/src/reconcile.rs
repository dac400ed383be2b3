//! One `AzureKeyVaultSecret`, from its spec to its status. Called by [`crate::queue`], never twice at a time for one.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | `memory` | what is known of each secret between two looks | none: pure |
//! | `write` | one object, until it is as it should be | API server |
//! | `report` | status and event | API server |

mod memory;
mod report;
mod write;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use keyward_crds::conditions::Reason;
use kube::{
    Client,
    runtime::{controller::Action, events::Recorder, reflector::Store},
};
use tokio::time::timeout;

pub use self::memory::Memory;
use self::{
    memory::{Failing, Settled},
    report::ReportError,
};
use crate::{
    akvs::Akvs,
    backoff::{self, Cause},
    broker::{self, Connection, Described, Refused},
    desired::{self, Propagation},
    managed::Managed,
    metrics::Metrics,
    objects::{ObjectError, Objects},
    plan::{Peer, Refusal},
    release,
    scope::Scope,
    status::{Failure, Outcome},
    target::Target,
    watching::Refusals,
};

/// For one look at one secret, whatever hangs.
const DEADLINE: Duration = Duration::from_secs(60);
/// For how long something that passes is not worth a condition.
const GRACE: Duration = Duration::from_secs(30);
/// The same, where nothing was ever written: people wait for it.
const FIRST_GRACE: Duration = Duration::from_secs(10);

/// What all looks share.
pub struct Context {
    /// For status.
    pub client: Client,
    /// Secrets and `ConfigMap`s.
    pub objects: Objects,
    /// Data.
    pub broker: Connection,
    /// What carries our label.
    pub managed: Managed,
    /// Every `AzureKeyVaultSecret`.
    pub store: Store<Akvs>,
    /// Events.
    pub recorder: Recorder,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Labels and annotations that travel.
    pub propagation: Propagation,
    /// What is known from the last look.
    pub memory: Memory,
    /// Where workloads may have to be rolled.
    pub touched: crate::restart::Touched,
    /// Whether this controller looks after every `AzureKeyVaultSecret` there is, and not only after those of a selector.
    pub sees_all: bool,
    /// The namespaces that are looked after.
    pub scope: Scope,
    /// What may not be seen there.
    pub refusals: Refusals,
}

/// Why one look did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    /// The broker's answer.
    #[error("{}", .0.failure.message)]
    Broker(Refused),
    /// The rules.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// The API server.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The spec.
    #[error("{0}")]
    Invalid(String),
    /// Everything together took too long.
    #[error("it took longer than {DEADLINE:?}; it is tried again")]
    Late,
    /// The secret was deleted, changed or made anew meanwhile: there will be another look, or none.
    #[error("it was replaced meanwhile")]
    Replaced,
}

impl From<tonic::Status> for LookError {
    fn from(status: tonic::Status) -> Self {
        Self::Broker(broker::of_status(&status))
    }
}

/// Looks at one secret, and says when to look again if nothing happens.
pub async fn reconcile(akvs: Arc<Akvs>, context: Arc<Context>) -> Action {
    if akvs.is_deleting() {
        return Action::await_change();
    }
    let begun = context.memory.begin(&akvs);
    if begun.settled.is_some_and(|settled| settled.still_holds(&akvs, &context.managed)) {
        return Action::await_change();
    }
    let started = Instant::now();
    let look = timeout(DEADLINE, look(&akvs, &context)).await.unwrap_or(Err(LookError::Late));
    let action = match look {
        Ok((outcome, written)) => {
            let settled = Settled::new(&akvs, written);
            match report::report(&akvs, &context, &outcome).await {
                Ok(()) => {
                    context.memory.settle(&akvs, begun.asked, settled);
                    Action::await_change()
                }
                Err(error) => again(&akvs, &context, &error),
            }
        }
        Err(LookError::Replaced) => Action::await_change(),
        Err(error) => failed(&akvs, &context, error).await,
    };
    context.metrics.looked(started.elapsed());
    action
}

/// Everything but the status. Returns what became of it, and the revisions of what was written.
async fn look(akvs: &Akvs, context: &Context) -> Result<(Outcome, Vec<(Target, String)>), LookError> {
    akvs.spec.as_ref().map_err(|reason| LookError::Invalid(reason.clone()))?;
    let (outcome, written) = if akvs.has_output() {
        let fetched = context.broker.fetch(akvs).await?;
        // The newer spec's own look comes.
        if !fetched.fits(akvs) {
            return Err(LookError::Replaced);
        }
        let (version, expires) = (fetched.version.clone(), fetched.expires.clone());
        let mut written = Vec::new();
        for desired in desired::desired(akvs, fetched, &context.propagation) {
            let resource_version = write::write(akvs, &desired, context).await?;
            written.push((desired.target, resource_version));
        }
        let targets = written.iter().map(|(target, _)| target.clone()).collect();
        (Outcome::Synced { version, expires, targets }, written)
    } else {
        let Described { version, expires } = context.broker.describe(akvs).await?;
        (Outcome::Admitted { version, expires }, Vec::new())
    };
    // Only now: what took its place is there.
    for target in context.managed.held_by(akvs.uid(), akvs.namespace()) {
        if !written.iter().any(|(wanted, _)| *wanted == target) {
            release::unasked(&context.objects, &target, akvs.uid()).await?;
        }
    }
    Ok((outcome, written))
}

/// Tells of a failure, unless it may pass before anybody needs to know, and says when to try again.
async fn failed(akvs: &Akvs, context: &Context, error: LookError) -> Action {
    let advised = if let LookError::Broker(refused) = &error { refused.advised } else { None };
    let mut failure = failure_of(error);
    let Failing { failures, since, repeated } = context.memory.fail(akvs, &failure.code);
    failure.repeated = repeated;
    let grace = if akvs.status.as_ref().is_some_and(crate::status::Status::is_ready) { GRACE } else { FIRST_GRACE };
    let cause = failure.cause;
    context.metrics.failed(failure.reason);
    tracing::debug!(secret = %shown(akvs), reason = %failure.reason, message = failure.message, failures, "not ready");
    if cause != Cause::Passing || since.elapsed() >= grace {
        let outcome = Outcome::Failed(failure);
        if let Err(error) = report::report(akvs, context, &outcome).await {
            return again(akvs, context, &error);
        }
    }
    Action::requeue(backoff::wait(failures, cause, advised, fastrand::f64()))
}

/// The status could not be written: the same again soon.
fn again(akvs: &Akvs, context: &Context, error: &ReportError) -> Action {
    let Failing { failures, .. } = context.memory.fail(akvs, "");
    tracing::debug!(secret = %shown(akvs), %error, "its status is not written");
    Action::requeue(backoff::wait(failures, Cause::Passing, None, fastrand::f64()))
}

fn failure_of(error: LookError) -> Failure {
    let message = error.to_string();
    let (reason, cause) = match error {
        LookError::Broker(refused) => return refused.failure,
        LookError::Refusal(Refusal::NotOwned { .. } | Refusal::ForeignKey { .. } | Refusal::ForeignKeys { .. }) => {
            (Reason::NotOwned, Cause::Standing)
        }
        LookError::Refusal(Refusal::Key { .. } | Refusal::Type { .. }) => (Reason::Conflict, Cause::Standing),
        LookError::Object(ObjectError::Refused { .. }) => (Reason::Rejected, Cause::Standing),
        LookError::Object(_) => (Reason::Rejected, Cause::Passing),
        // A new generation is another look.
        LookError::Invalid(_) => (Reason::Invalid, Cause::Told),
        LookError::Late | LookError::Replaced => (Reason::VaultUnavailable, Cause::Passing),
    };
    Failure { reason, message, cause, code: String::new(), repeated: false }
}

impl Context {
    /// The `AzureKeyVaultSecret` with this UID, as other ones' rules need it.
    pub(crate) fn peer(&self, uid: &str) -> Option<Peer> {
        let Some(akvs) = self.store.find(|akvs| akvs.uid() == uid) else {
            // Whom another controller looks after may well be there.
            let another = Peer { shown: format!("with UID {uid}"), created: None };
            return (!self.sees_all).then_some(another);
        };
        (!akvs.is_deleting()).then(|| Peer { shown: shown(&akvs), created: akvs.created().cloned() })
    }

    /// Whether `akvs` is still the one of its name.
    pub(crate) fn is_current(&self, akvs: &Akvs) -> bool {
        let reference = kube::runtime::reflector::ObjectRef::from_obj(akvs);
        self.store.get(&reference).is_some_and(|current| current.uid() == akvs.uid())
    }
}

pub(crate) fn shown(akvs: &Akvs) -> String {
    format!("{}/{}", akvs.namespace(), akvs.name())
}
