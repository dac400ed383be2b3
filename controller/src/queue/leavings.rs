//! What secrets leave behind in objects that others share. What was a secret's alone is the garbage collector's.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::Api;
use tokio::{sync::Notify, time::timeout};

use crate::{
    akvs::Akvs,
    objects::ObjectError,
    reconcile::Context,
    release,
    target::{Target, TargetKind},
};

/// Tries for one part. What is left after them is found again at the next list.
const ATTEMPTS: u32 = 5;
const WAIT: Duration = Duration::from_millis(500);
/// For one try.
const DEADLINE: Duration = Duration::from_secs(15);

/// Secrets that are gone, and what has been listed. Nobody who tells has to wait. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Leavings(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    told: Mutex<Told>,
    notify: Notify,
}

/// Namespace and name by UID.
type Gone = HashMap<String, (String, String)>;

#[derive(Debug, Default)]
struct Told {
    /// Secrets that were deleted.
    gone: Gone,
    /// Whether anybody may be gone: something was listed anew.
    anybody: bool,
    secrets_listed: bool,
    kinds_listed: HashSet<TargetKind>,
}

impl Leavings {
    /// A secret is gone.
    pub(super) fn one(&self, akvs: &Akvs) {
        let name = (akvs.namespace().to_owned(), akvs.name().to_owned());
        self.lock().gone.insert(akvs.uid().to_owned(), name);
        self.0.notify.notify_one();
    }

    /// All secrets have been listed: whoever is not among them is gone.
    pub(super) fn secrets_listed(&self) {
        let mut told = self.lock();
        (told.secrets_listed, told.anybody) = (true, true);
        self.0.notify.notify_one();
    }

    /// All objects of this kind have been listed.
    pub(super) fn listed(&self, kind: TargetKind) {
        let mut told = self.lock();
        told.kinds_listed.insert(kind);
        told.anybody = true;
        self.0.notify.notify_one();
    }

    /// Never ends. Before everything has been listed, nobody can be said to be gone.
    pub(super) async fn clear(self, context: Arc<Context>) {
        loop {
            self.0.notify.notified().await;
            let Some((gone, anybody)) = self.take() else { continue };
            for (uid, (namespace, name)) in &gone {
                // To a controller of a selector, one that was labelled otherwise looks deleted.
                if context.sees_all || is_gone(&context, uid, namespace, name).await {
                    everywhere(&context, uid).await;
                }
            }
            // Whom another controller looks after is not known here and may well be there.
            if anybody && context.sees_all {
                let known = known(&context);
                for uid in context.managed.vanished(|uid| known.contains(uid)) {
                    everywhere(&context, &uid).await;
                }
            }
        }
    }

    fn take(&self) -> Option<(Gone, bool)> {
        let mut told = self.lock();
        let complete = told.secrets_listed && told.kinds_listed.len() == TargetKind::ALL.len();
        complete.then(|| (std::mem::take(&mut told.gone), std::mem::take(&mut told.anybody)))
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known(context: &Context) -> HashSet<String> {
    context.store.state().iter().map(|akvs| akvs.uid().to_owned()).collect()
}

async fn is_gone(context: &Context, uid: &str, namespace: &str, name: &str) -> bool {
    let api: Api<Akvs> = Api::namespaced(context.client.clone(), namespace);
    match timeout(DEADLINE, api.get_opt(name)).await {
        Ok(Ok(found)) => found.is_none_or(|akvs| akvs.uid() != uid),
        // It cannot be told: what it left stays.
        _ => false,
    }
}

async fn everywhere(context: &Context, uid: &str) {
    for target in context.managed.shared_by(uid) {
        one(context, uid, &target).await;
    }
}

async fn one(context: &Context, uid: &str, target: &Target) {
    for attempt in 1..=ATTEMPTS {
        let exists = |uid: &str| context.peer(uid).is_some();
        let tried = timeout(DEADLINE, release::vanished(&context.objects, target, uid, &exists)).await;
        match tried {
            Ok(Ok(())) => return,
            Ok(Err(error @ ObjectError::Refused { .. })) => {
                return tracing::warn!(%error, uid, "what a deleted AzureKeyVaultSecret left cannot be removed");
            }
            _ if attempt == ATTEMPTS => {
                tracing::warn!(%target, uid, "what a deleted AzureKeyVaultSecret left is not removed yet");
            }
            _ => tokio::time::sleep(WAIT * attempt).await,
        }
    }
}
