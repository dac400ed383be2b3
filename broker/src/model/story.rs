//! What may happen, and how often.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

/// Objects that are asked for. Some are there from the beginning.
pub(super) const OBJECTS: usize = 10;

/// How the world is set up, and what happens in it, one thing after another.
#[derive(Clone, Debug)]
pub(super) struct Story {
    /// Requests that the vault's budget allows in ten seconds.
    pub(super) budget: u32,
    /// The cache holds four objects, and not all.
    pub(super) tiny: bool,
    /// Each request takes so long.
    pub(super) latency: Duration,
    pub(super) events: Vec<Event>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A new version, also of what was deleted.
    Write(usize),
    Delete(usize),
    Enable(usize, bool),
    /// A replica of the vault shows the object as it is now, for as long as this lasts.
    Lag(usize, bool),
    /// All rights of the broker's identity are there, or none.
    Rights(bool),
    /// Every call ends with it, or none does.
    Fault(Option<Fault>),
    /// One caller asks for several.
    Resolve(Vec<usize>),
    /// Many callers ask for everything at once.
    Crowd(usize),
    /// Somebody wants a round now.
    Refresh,
    /// One object is evicted.
    Forget(usize),
    Wait(Duration),
}

/// What is wrong with the vault.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Down,
    /// 429, with a pause of so many seconds.
    Throttles(u64),
    Nonsense,
}

impl Story {
    pub(super) fn any() -> impl Strategy<Value = Self> {
        (30_u32..120, prop::bool::weighted(0.2), 1_u64..300, vec(Event::any(), 1..60)).prop_map(
            |(budget, tiny, latency, events)| Self { budget, tiny, latency: Duration::from_millis(latency), events },
        )
    }
}

impl Event {
    fn any() -> impl Strategy<Value = Self> {
        let object = 0..OBJECTS;
        let fault = prop_oneof![Just(Fault::Down), (1_u64..30).prop_map(Fault::Throttles), Just(Fault::Nonsense)];
        prop_oneof![
            10 => object.clone().prop_map(Self::Write),
            2 => object.clone().prop_map(Self::Delete),
            2 => (object.clone(), any::<bool>()).prop_map(|(object, enabled)| Self::Enable(object, enabled)),
            2 => (object.clone(), prop::bool::weighted(0.3)).prop_map(|(object, lags)| Self::Lag(object, lags)),
            1 => prop::bool::weighted(0.7).prop_map(Self::Rights),
            2 => prop::option::weighted(0.4, fault).prop_map(Self::Fault),
            16 => vec(object.clone(), 1..5).prop_map(Self::Resolve),
            2 => (2_usize..30).prop_map(Self::Crowd),
            2 => Just(Self::Refresh),
            1 => object.prop_map(Self::Forget),
            12 => (1_u64..20_000).prop_map(|millis| Self::Wait(Duration::from_millis(millis))),
            6 => (20_u64..600).prop_map(|seconds| Self::Wait(Duration::from_secs(seconds))),
        ]
    }
}
