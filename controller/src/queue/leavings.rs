//! What secrets leave behind in objects that others share.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use crate::{objects::ObjectError, reconcile::Context, release, target::TargetKind};

/// Tries for one part. What is left after them is found again at the next list.
const ATTEMPTS: u32 = 5;
const WAIT: Duration = Duration::from_millis(500);

/// A reason to clear up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// The secret with this UID is gone.
    One(String),
    /// All secrets have been listed: whoever is not among them is gone.
    Anybody,
    /// All objects of this kind have been listed.
    Listed(TargetKind),
}

/// Never ends. Before everything has been listed, nobody can be said to be gone.
pub(super) async fn clear(context: Arc<Context>, mut leaving: mpsc::Receiver<Leaving>) {
    let (mut secrets, mut kinds) = (false, HashSet::new());
    while let Some(reason) = leaving.recv().await {
        match &reason {
            Leaving::Anybody => secrets = true,
            Leaving::Listed(kind) => {
                kinds.insert(*kind);
            }
            Leaving::One(_) => {}
        }
        if !secrets || kinds.len() < TargetKind::ALL.len() {
            continue;
        }
        let known: HashSet<String> = context.store.state().iter().map(|akvs| akvs.uid().to_owned()).collect();
        let left = context.managed.held_by_the_vanished(|uid| known.contains(uid));
        for (uid, target) in left {
            // Whom another controller looks after is not known here and may well be there.
            if context.sees_all || reason == Leaving::One(uid.clone()) {
                one(&context, &uid, &target, &known).await;
            }
        }
    }
}

async fn one(context: &Context, uid: &str, target: &crate::target::Target, known: &HashSet<String>) {
    for attempt in 1..=ATTEMPTS {
        match release::vanished(&context.objects, target, uid, &|uid| known.contains(uid)).await {
            Ok(()) => return,
            Err(error @ ObjectError::Refused { .. }) => {
                return tracing::warn!(%error, uid, "what a deleted AzureKeyVaultSecret left cannot be removed");
            }
            Err(error) if attempt == ATTEMPTS => {
                tracing::warn!(%error, uid, "what a deleted AzureKeyVaultSecret left is not removed yet");
            }
            Err(_) => tokio::time::sleep(WAIT * attempt).await,
        }
    }
}
