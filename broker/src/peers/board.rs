//! What this replica knows of all of them, for whoever wants to look: one view, and what it comes to.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    lending,
    member::{Beat, MemberId, State},
    view::{Standing, View},
};
use crate::{
    budget::{LENT_FOR, Share, Shares},
    readers::Readers,
    vault::origin::Origin,
};

/// How often what others lend is lent on.
const LEND_EVERY: Duration = Duration::from_millis(200);

/// The board.
#[derive(Debug)]
pub struct Board {
    view: Mutex<View>,
    standing: watch::Sender<Arc<Standing>>,
    replicas: u32,
}

impl Board {
    /// Of a process that may be one of several: `replicas` by configuration. It warms up.
    pub fn among(replicas: u32) -> Self {
        Self::new(View::new(MemberId::random(), State::Warming, Some(Instant::now())), replicas)
    }

    /// Of a process that has no others: it has its part of `replicas`, and all of that at once.
    pub fn alone(replicas: u32) -> Self {
        Self::new(View::new(MemberId::random(), State::Serving, None), replicas)
    }

    fn new(view: View, replicas: u32) -> Self {
        let standing = watch::Sender::new(Arc::new(view.standing()));
        Self { view: Mutex::new(view), standing, replicas }
    }

    /// What it comes to now.
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing.borrow())
    }

    /// The same, and word of every change.
    pub fn watch(&self) -> watch::Receiver<Arc<Standing>> {
        self.standing.subscribe()
    }

    /// Another replica has told how it is.
    pub fn hear(&self, beat: Beat) {
        let (id, state) = (beat.id, beat.state);
        if self.change(|view, now| view.hear(beat, now)) {
            tracing::debug!(replica = %id, state = state.as_str(), "another replica");
        }
    }

    /// Something else came from it.
    pub fn alive(&self, id: MemberId) {
        self.view().alive(id, Instant::now());
    }

    /// It cannot be heard any more.
    pub fn lose(&self, id: MemberId) {
        if self.change(|view, now| view.lose(id, now)) {
            tracing::info!(replica = %id, "another replica is gone");
        }
    }

    /// This replica says something else of itself from now on.
    pub fn set_state(&self, state: State) {
        if self.change(|view, now| view.set_state(state, now)) {
            tracing::info!(state = state.as_str(), "this replica");
        }
    }

    /// How long ago each of the others was heard.
    pub fn heard(&self) -> Vec<(MemberId, Duration)> {
        self.view().heard(Instant::now()).collect()
    }

    /// How many were lost without a word since the start.
    pub fn lost(&self) -> u64 {
        self.view().lost()
    }

    /// Loses whoever is silent and keeps `readers`' shares as they should be, until `shutdown`.
    pub async fn keep(&self, readers: &Readers, shutdown: CancellationToken) {
        let (mut changes, mut known, mut lent) = (self.watch(), None, Instant::now());
        loop {
            self.lose_the_silent();
            let standing = self.standing();
            // What ran out while this process was stopped is not lent on: it is looked at again.
            if known.as_ref() == Some(&standing) && lent.elapsed() < LENT_FOR {
                readers.lend_on();
            } else {
                readers.share_anew();
            }
            (known, lent) = (Some(standing), Instant::now());
            let next = self.view().next_silence().map_or(lent + LEND_EVERY, |silence| silence.min(lent + LEND_EVERY));
            tokio::select! {
                () = shutdown.cancelled() => return,
                Ok(()) = changes.changed() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    fn lose_the_silent(&self) {
        let silent = self.view().silent(Instant::now());
        for id in silent {
            self.lose(id);
        }
    }

    fn change(&self, change: impl FnOnce(&mut View, Instant) -> bool) -> bool {
        let mut view = self.view();
        let changed = change(&mut view, Instant::now());
        if changed {
            // Under the lock, so that the last change is the last that is told.
            self.standing.send_replace(Arc::new(view.standing()));
        }
        changed
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shares for Board {
    fn share(&self, origin: &Origin) -> Share {
        lending::share(&self.standing(), &origin.to_string(), self.replicas)
    }
}
