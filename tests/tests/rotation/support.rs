//! A stand whose calls are under way, and delays that differ from one run to the next.

#![allow(clippy::print_stdout, reason = "what is shown where a test fails")]

use std::time::Duration;

use keyward_tests::rotation::{
    calls::Kind,
    kubelet::Delays,
    load::Load,
    processes::Lifetimes,
    report::Report,
    stand::{PATIENCE, Slots, Stand},
    until,
};

/// Nothing is rotated unless it is asked for.
pub(crate) const LONG: Lifetimes = Lifetimes { authority: "365days", leaf: "30days", overlap: "5s" };

/// Said, so that a failure can be had again.
pub(crate) fn delays() -> Delays {
    let delays = Delays { seed: fastrand::u64(..), longest: Duration::from_secs(1) };
    println!("{delays:?}");
    delays
}

/// One whose calls are under way.
pub(crate) struct Loaded {
    pub(crate) stand: Stand,
    pub(crate) load: Load,
}

impl Loaded {
    /// With these controllers, which rotate nothing by themselves.
    pub(crate) async fn with_controllers(identities: &[&'static str]) -> Self {
        let mut stand = Stand::start(delays()).await.unwrap();
        for identity in identities {
            stand.controller(identity, LONG).unwrap();
        }
        Self::of(stand).await
    }

    /// Of one that will have certificates.
    pub(crate) async fn of(stand: Stand) -> Self {
        stand.ready().await.unwrap();
        let loaded = Self { load: Load::start(&stand).unwrap(), stand };
        loaded.go_on().await;
        loaded
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
