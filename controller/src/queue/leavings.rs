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
    scope::Place,
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
    /// Where anybody may be gone: something was listed anew.
    anybody: HashSet<Place>,
    /// What has been listed, and where.
    listed: HashSet<(Listed, Place)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Listed {
    Secrets,
    Written(TargetKind),
}

impl Leavings {
    /// A secret is gone.
    pub(super) fn one(&self, akvs: &Akvs) {
        let name = (akvs.namespace().to_owned(), akvs.name().to_owned());
        self.lock().gone.insert(akvs.uid().to_owned(), name);
        self.0.notify.notify_one();
    }

    /// All secrets of a place have been listed: whoever is not among them is gone.
    pub(super) fn secrets_listed(&self, place: Place) {
        self.note(Listed::Secrets, place);
    }

    /// All objects of this kind in a place have been listed.
    pub(super) fn listed(&self, kind: TargetKind, place: Place) {
        self.note(Listed::Written(kind), place);
    }

    fn note(&self, listed: Listed, place: Place) {
        let mut told = self.lock();
        told.anybody.insert(place.clone());
        told.listed.insert((listed, place));
        self.0.notify.notify_one();
    }

    /// Never ends. Before everything in a place has been listed, nobody can be said to be gone there.
    pub(super) async fn clear(self, context: Arc<Context>) {
        loop {
            self.0.notify.notified().await;
            let (gone, anybody) = self.lock().take();
            for (uid, (namespace, name)) in &gone {
                // To a controller of a selector, one that was labelled otherwise looks deleted.
                if context.sees_all || is_gone(&context, uid, namespace, name).await {
                    clear_at(&context, uid, &[Place::Cluster]).await;
                }
            }
            // Whom another controller looks after is not known here and may well be there.
            if context.sees_all && !anybody.is_empty() {
                let known = known(&context);
                for uid in context.managed.vanished(|uid| known.contains(uid)) {
                    clear_at(&context, &uid, &anybody).await;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// Who is gone, and where anybody may be, as far as that can be told; the rest is kept.
    fn take(&mut self) -> (Gone, Vec<Place>) {
        let written = TargetKind::ALL.map(Listed::Written);
        let complete = |place: &Place| {
            let mut all = written.iter().chain([&Listed::Secrets]);
            all.all(|listed| self.listed.contains(&(*listed, place.clone())))
        };
        let complete: HashSet<Place> =
            self.listed.iter().map(|(_, place)| place).filter(|place| complete(place)).cloned().collect();
        let is_complete = |namespace: &str| complete.iter().any(|place| place.holds(namespace));
        let gone = self.gone.extract_if(|_, (namespace, _)| is_complete(namespace)).collect();
        let anybody = self.anybody.extract_if(|place| complete.contains(place)).collect();
        (gone, anybody)
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

/// Its parts of what is in one of these places.
async fn clear_at(context: &Context, uid: &str, places: &[Place]) {
    let targets = context.managed.shared_by(uid).into_iter();
    for target in targets.filter(|target| places.iter().any(|place| place.holds(&target.namespace))) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gone_in(namespace: &str) -> Gone {
        Gone::from([(format!("uid-{namespace}"), (namespace.to_owned(), "db".to_owned()))])
    }

    #[test]
    fn nobody_is_gone_from_a_place_before_everything_there_has_been_listed() {
        let leavings = Leavings::default();
        let [shop, bank] = ["shop", "bank"].map(|name| Place::Namespace(name.into()));
        leavings.lock().gone.extend(gone_in("shop").into_iter().chain(gone_in("bank")));
        leavings.secrets_listed(shop.clone());
        leavings.secrets_listed(bank.clone());
        leavings.listed(TargetKind::Secret, shop.clone());
        leavings.listed(TargetKind::Secret, bank.clone());
        assert_eq!(leavings.lock().take(), (Gone::new(), Vec::new()));
        leavings.listed(TargetKind::ConfigMap, shop.clone());
        assert_eq!(leavings.lock().take(), (gone_in("shop"), vec![shop.clone()]));
        leavings.listed(TargetKind::Secret, shop.clone());
        assert_eq!(leavings.lock().take(), (Gone::new(), vec![shop]), "a list anew");
        leavings.listed(TargetKind::ConfigMap, bank.clone());
        assert_eq!(leavings.lock().take(), (gone_in("bank"), vec![bank]));
    }

    #[test]
    fn a_watch_of_the_cluster_is_complete_for_every_namespace() {
        let leavings = Leavings::default();
        leavings.lock().gone.extend(gone_in("shop"));
        for kind in TargetKind::ALL {
            leavings.listed(kind, Place::Cluster);
        }
        assert_eq!(leavings.lock().take(), (Gone::new(), Vec::new()));
        leavings.secrets_listed(Place::Cluster);
        assert_eq!(leavings.lock().take(), (gone_in("shop"), vec![Place::Cluster]));
    }
}
