//! What is given to others in this process: the controller's own certificate to its connection, the bundle to whoever publishes
//! it, dates to metrics. It outlives what one leader does.

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwapOption;
use keyward_kit::{
    ready::{Guard, Readiness},
    tls::client::{ClientFiles, Source},
};
use tokio::sync::watch;

use super::{
    leaf::Leaf,
    seen::{Authority, Phase, Seen},
};
use crate::authority::{self, Bundle};

/// The name of the readiness guard, as with certificates from a directory.
const GUARD: &str = "certificates";

/// Clones share it.
#[derive(Clone)]
pub struct Outlets {
    pub(super) own: watch::Sender<Option<Arc<ClientFiles>>>,
    pub(super) bundle: watch::Sender<Option<Bundle>>,
    shown: Arc<ArcSwapOption<Shown>>,
    readiness: Readiness,
}

/// For metrics.
#[derive(Debug)]
pub struct Shown {
    /// Where a rotation is.
    pub phase: Phase,
    /// When each slot's last certificate ends.
    pub authorities: Vec<(&'static str, SystemTime)>,
    /// When each certificate ends.
    pub leaves: Vec<(Leaf, SystemTime)>,
}

impl Outlets {
    /// With nothing made yet.
    pub fn new(readiness: Readiness) -> Self {
        Self { own: watch::Sender::new(None), bundle: watch::Sender::new(None), shown: Arc::default(), readiness }
    }

    /// For the connection to the broker.
    pub fn own(&self) -> Source {
        Source::Memory(self.own.subscribe())
    }

    /// For whoever publishes it.
    pub fn bundle(&self) -> authority::Source {
        authority::Source::Issued(self.bundle.subscribe())
    }

    /// For metrics, while this replica leads.
    pub fn shown(&self) -> Option<Arc<Shown>> {
        self.shown.load_full()
    }

    /// A replica begins to lead: what it knew when it led last is not published. It is not ready without a certificate; one
    /// that does not lead needs none.
    pub(super) fn begin(&self) -> Option<Guard> {
        self.bundle.send_replace(None);
        self.shown.store(None);
        self.own.borrow().is_none().then(|| self.readiness.require(GUARD))
    }

    pub(super) fn publish(&self, bundle: Bundle) {
        self.bundle.send_if_modified(|published| published.replace(bundle) != *published);
    }

    pub(super) fn show(&self, seen: &Seen) {
        let mut authorities = Vec::new();
        if let Authority::Held(dated) = &seen.authority {
            let slots = [
                ("active", dated.slots.active.certificates()),
                (dated.slots.other.name(), dated.slots.other.certificates()),
            ];
            for (slot, certificates) in slots {
                let end = certificates.iter().map(super::certificate::Certificate::not_after).max();
                authorities.extend(end.map(|end| (slot, end)));
            }
        }
        let held = seen.leaves.iter().filter_map(|(leaf, found)| Some((*leaf, found.held()?)));
        let leaves = held.map(|(leaf, held)| (leaf, held.certificate.not_after())).collect();
        self.shown.store(Some(Arc::new(Shown { phase: Phase::of(&seen.authority), authorities, leaves })));
    }
}

impl std::fmt::Debug for Outlets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlets").finish_non_exhaustive()
    }
}
