//! The ways to the replicas that are followed, by their ids.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use keyward_kit::tls::channel::Connection;

use super::{clock::TheirClock, member::MemberId};
use crate::cache::Keeper;

/// The ways.
#[derive(Debug, Default)]
pub struct Links(Mutex<HashMap<MemberId, Way>>);

/// The way to one replica.
#[derive(Clone, Debug)]
pub struct Way {
    /// How to get there.
    pub connection: Connection,
    /// As whom it keeps what is copied from it.
    pub keeper: Keeper,
    /// How its clock goes.
    pub clock: Arc<TheirClock>,
}

/// As long as it is kept the way is known.
#[derive(Debug)]
pub struct Linked {
    links: Arc<Links>,
    id: MemberId,
}

impl Links {
    /// One more; `None` where there is one to that replica already.
    pub fn add(self: &Arc<Self>, id: MemberId, way: Way) -> Option<Linked> {
        let mut all = self.all();
        if all.contains_key(&id) {
            return None;
        }
        all.insert(id, way);
        drop(all);
        Some(Linked { links: Arc::clone(self), id })
    }

    /// The way to `id`.
    pub fn to(&self, id: MemberId) -> Option<Way> {
        self.all().get(&id).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<MemberId, Way>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        self.links.all().remove(&self.id);
    }
}
