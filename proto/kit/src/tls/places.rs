//! Places for connections, so many in all and so many for each peer, and a count of what became of those who asked.
//!
//! A peer is an address. Those behind one address translation are one peer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What has become of a listener's connections so far. For metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Given a place, and a handshake begun.
    pub accepted: u64,
    /// Closed before the handshake: their peer had all the places it may have.
    pub refused_peer_limit: u64,
    /// Closed before the handshake: there are no certificates yet.
    pub refused_no_certificates: u64,
    /// Handshakes that failed or were not done in time.
    pub handshakes_failed: u64,
    /// Places taken at this moment, handshakes included.
    pub open: u64,
}

/// Tells a listener's [`Connections`] for as long as anybody asks. Clones share it.
#[derive(Clone, Debug)]
pub struct ConnectionCounts(Arc<Shared>);

impl ConnectionCounts {
    /// What holds now.
    pub fn now(&self) -> Connections {
        let Shared { accepted, refused_peer_limit, refused_no_certificates, handshakes_failed, open, .. } = &*self.0;
        Connections {
            accepted: accepted.load(Relaxed),
            refused_peer_limit: refused_peer_limit.load(Relaxed),
            refused_no_certificates: refused_no_certificates.load(Relaxed),
            handshakes_failed: handshakes_failed.load(Relaxed),
            open: open.load(Relaxed),
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// Only peers with a place are in it: there are never more of them than places.
    held: Mutex<HashMap<IpAddr, usize>>,
    accepted: AtomicU64,
    refused_peer_limit: AtomicU64,
    refused_no_certificates: AtomicU64,
    handshakes_failed: AtomicU64,
    open: AtomicU64,
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All places of a listener. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    per_peer: usize,
    shared: Arc<Shared>,
}

impl Places {
    pub(super) fn new(all: usize, per_peer: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(all)), per_peer, shared: Arc::default() }
    }

    pub(super) fn counts(&self) -> ConnectionCounts {
        ConnectionCounts(self.shared.clone())
    }

    /// Waits until a place is free for somebody.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_owned().await.ok()
    }

    /// Gives the place to `peer`, unless it has all that one peer may have.
    pub(super) fn give(&self, free: OwnedSemaphorePermit, peer: IpAddr) -> Option<Place> {
        // An IPv4 client of an IPv6 socket is the same peer.
        let peer = peer.to_canonical();
        let mut held = self.shared.held();
        if held.get(&peer).is_some_and(|count| *count >= self.per_peer) {
            self.shared.refused_peer_limit.fetch_add(1, Relaxed);
            return None;
        }
        *held.entry(peer).or_default() += 1;
        self.shared.accepted.fetch_add(1, Relaxed);
        self.shared.open.fetch_add(1, Relaxed);
        Some(Place { peer, shared: self.shared.clone(), _free: free })
    }

    pub(super) fn refused_without_certificates(&self) {
        self.shared.refused_no_certificates.fetch_add(1, Relaxed);
    }

    pub(super) fn handshake_failed(&self) {
        self.shared.handshakes_failed.fetch_add(1, Relaxed);
    }
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    peer: IpAddr,
    shared: Arc<Shared>,
    _free: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Relaxed);
        let mut held = self.shared.held();
        if let Some(count) = held.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(places: &Places, peer: &str) -> Option<Place> {
        places.give(places.free().await.unwrap(), peer.parse().unwrap())
    }

    #[tokio::test]
    async fn one_peer_has_so_many_and_takes_nobody_elses() {
        let places = Places::new(10, 2);
        let first = ask(&places, "10.0.0.1").await;
        let second = ask(&places, "::ffff:10.0.0.1").await;
        assert!(first.is_some() && second.is_some());
        assert!(ask(&places, "10.0.0.1").await.is_none());
        let other = ask(&places, "10.0.0.2").await;
        assert!(other.is_some());
        assert!(ask(&places, "::ffff:10.0.0.1").await.is_none());
        drop(second);
        assert!(ask(&places, "10.0.0.1").await.is_some());
        let expected = Connections { accepted: 4, refused_peer_limit: 2, open: 2, ..Connections::default() };
        assert_eq!(places.counts().now(), expected);
    }

    #[tokio::test]
    async fn who_has_left_is_forgotten_and_who_was_refused_is_not_remembered() {
        let places = Places::new(3, 1);
        for n in 0..100 {
            let peer = format!("10.0.0.{n}");
            let held = ask(&places, &peer).await;
            assert!(held.is_some() && ask(&places, &peer).await.is_none());
            assert_eq!(places.shared.held().len(), 1);
        }
        assert!(places.shared.held().is_empty());
        assert_eq!((places.counts().now().open, places.free.available_permits()), (0, 3));
    }
}
