//! One stand at a time, and delays that differ from one run to the next.

use std::time::Duration;

use keyward_tests::rotation::{
    calls::Kind,
    kubelet::Delays,
    load::Load,
    report::Report,
    stand::{Lifetimes, PATIENCE, Slots, Stand},
    until,
};
use tokio::sync::{Mutex, MutexGuard};

/// Nothing is rotated unless it is asked for.
pub(crate) const LONG: Lifetimes = Lifetimes { authority: "365days", leaf: "30days", overlap: "5s" };

/// Each test keeps both processors busy: side by side they would wait for each other and not for certificates.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The machine for oneself.
pub(crate) async fn alone() -> (MutexGuard<'static, ()>, Delays) {
    let alone = ALONE.lock().await;
    let delays = Delays { seed: fastrand::u64(..), longest: Duration::from_secs(1) };
    println!("{delays:?}");
    (alone, delays)
}

/// A stand that has the machine for itself.
pub(crate) struct World {
    pub(crate) stand: Stand,
    _alone: MutexGuard<'static, ()>,
}

/// One whose calls are under way.
pub(crate) struct Loaded {
    pub(crate) stand: Stand,
    pub(crate) load: Load,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let (alone, delays) = alone().await;
        Self { stand: Stand::start(delays).await.unwrap(), _alone: alone }
    }

    /// Once everything is ready.
    pub(crate) async fn loaded(self) -> Loaded {
        let Self { stand, _alone } = self;
        stand.ready().await.unwrap();
        let loaded = Loaded { load: Load::start(&stand).unwrap(), stand, _alone };
        loaded.go_on().await;
        loaded
    }
}

impl Loaded {
    /// With these controllers, which rotate nothing by themselves.
    pub(crate) async fn with_controllers(identities: &[&'static str]) -> Self {
        let mut world = World::start().await;
        for identity in identities {
            world.stand.controller(identity, LONG).unwrap();
        }
        world.loaded().await
    }

    /// Returns once calls of every kind have succeeded since.
    pub(crate) async fn go_on(&self) {
        let before = self.load.calls.all();
        let more = async || Kind::ALL.iter().all(|kind| self.load.calls.of(*kind).good > before[kind].good + 1);
        until("calls go on", PATIENCE, more).await.unwrap();
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        until(what, PATIENCE, async || holds(self)).await.unwrap();
    }

    pub(crate) async fn until_slots(&self, slots: Slots) {
        self.until(&format!("the authority is {slots:?}"), |this| this.stand.slots() == Some(slots)).await;
    }

    /// What became of all; nothing failed.
    pub(crate) async fn without_failure(mut self) -> Report {
        self.go_on().await;
        let report = self.stand.report(self.load).await.unwrap();
        assert_eq!(report.failures(), 0, "{report}");
        println!("{report}");
        report
    }
}
