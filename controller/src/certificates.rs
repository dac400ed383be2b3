//! Certificates that are issued here: an authority in a Secret, and of it the broker's, the webhook's and the controller's own.
//! Only the leader issues, and only where the command line asks for it.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | `settings` | what is asked for, checked as a whole | none: pure |
//! | `slots` | the authority's Secret, parsed and rendered | none: pure |
//! | `leaf` | whose certificates there are, and what was found of each | none: pure |
//! | `seen`, `plan` | what was found, and the time → what to do next | none: pure |
//! | `state` | what a step makes of the authority's Secret | random numbers |
//! | `issue`, `key`, `certificate` | making certificates and understanding them | random numbers |
//! | `look` | reading what a plan is made from | API server |
//! | `carry_out` | doing one step | API server |
//! | `hooks` | the `caBundle` of a `MutatingWebhookConfiguration` | API server |
//! | `watches` | what has changed | API server |
//! | `pace` | how often anything is done | none: pure |
//! | `tell` | log, counters and events | API server |
//! | `outlets` | what is given to others in this process | none |
//!
//! It is level-triggered: whatever happens, everything is looked at, one step is planned and done, and everything is looked at
//! again. Every write replaces the revision that was looked at, so that of two who believe to lead one fails.

mod carry_out;
mod certificate;
mod hooks;
mod issue;
mod key;
mod leaf;
mod look;
mod outlets;
mod pace;
mod plan;
mod seen;
mod settings;
mod slots;
mod state;
mod tell;
#[cfg(test)]
mod tests;
mod watches;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use keyward_kit::{ready::Guard, tasks::Tasks};
use kube::{Client, runtime::events::Recorder};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

pub use self::{
    leaf::Leaf,
    outlets::{Outlets, Shown},
    seen::Phase,
    settings::{Provider, Settings, SettingsError},
};
use self::{
    look::Look,
    pace::Pace,
    seen::{Authority, Dated},
    tell::Resting,
};
use crate::{
    authority::Looks, backoff::Cause, metrics::Metrics, objects::Objects, queue::ending, scope::Place,
    watching::Refusals,
};

/// The longest without a look, whatever was told: clocks jump, and watches may be deaf.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// The same while a watch is refused.
const LOOK_EVERY_UNTOLD: Duration = Duration::from_secs(15);

/// What keeping certificates needs.
pub struct Certificates {
    /// For watches.
    pub client: Client,
    /// For everything else.
    pub objects: Objects,
    /// For events.
    pub recorder: Recorder,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is issued.
    pub settings: Settings,
    /// What is given to others in this process.
    pub outlets: Outlets,
    /// What may not be seen.
    pub refusals: Refusals,
    /// Which namespaces have the bundle; `None` where that is nobody's business here.
    pub looks: Option<Looks>,
}

/// Who does it, while this replica leads.
struct Keeper {
    objects: Objects,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    settings: Settings,
    outlets: Outlets,
    refusals: Refusals,
    looks: Option<Looks>,
    /// The authority as it was last, so that a deleted Secret comes back as it was.
    remembered: Option<Dated>,
    resting: Resting,
    pace: Pace,
    /// Problems that are known already.
    told: Vec<String>,
    wake: Arc<Notify>,
    /// Until there is a certificate to show.
    waiting: Option<Guard>,
}

impl Certificates {
    /// Adds its tasks: they run until `tasks` drain.
    pub fn spawn(self, tasks: &mut Tasks) {
        let Self { client, objects, recorder, metrics, settings, outlets, refusals, looks } = self;
        let wake = Arc::new(Notify::new());
        let watching = watches::all(client, settings.clone(), refusals.clone(), Arc::clone(&wake));
        tasks.spawn("watches of certificates", ending(tasks.drain(), watching));
        let waiting = outlets.begin();
        let keeper = Keeper {
            objects,
            recorder,
            metrics,
            settings,
            outlets,
            refusals,
            looks,
            remembered: None,
            resting: Resting::default(),
            pace: Pace::new(Instant::now()),
            told: Vec::new(),
            wake,
            waiting,
        };
        tasks.spawn("certificates", ending(tasks.drain(), keeper.run()));
    }
}

impl Keeper {
    /// Never ends.
    async fn run(mut self) {
        loop {
            let turn = self.turn().await;
            if turn.pause.is_zero() {
                sleep(self.pace.take(Instant::now())).await;
            } else {
                self.wait(turn).await;
            }
        }
    }

    /// One look, and at most one step.
    async fn turn(&mut self) -> Turn {
        let look = match self.look().await {
            Ok(look) => look,
            Err(error) => return self.blind(&error.to_string()),
        };
        self.resting.done(None);
        self.take_in(&look).await;
        let now = SystemTime::now();
        let plan = plan::plan(&look.seen, &self.settings.lifetimes, now);
        let rested = plan.due.iter().copied().find(|step| self.resting.rest(Some(*step), Instant::now()).is_none());
        let Some(step) = rested else {
            let time = plan.next.map(|next| next.duration_since(now).unwrap_or_default());
            let rest = self.resting.shortest(&plan.due, Instant::now());
            let pause = time.into_iter().chain(rest).fold(self.look_every(), Duration::min);
            let pause = pause.max(Duration::from_millis(1));
            return Turn { pause, spreading: look.bundle().filter(|_| !look.seen.spread) };
        };
        match self.carry_out(step, &look, now).await {
            Ok(()) => self.tell_done(step, &look).await,
            Err(error) => self.tell_failed(step, &error),
        }
        Turn { pause: Duration::ZERO, spreading: None }
    }

    /// What was found is told to everybody here.
    async fn take_in(&mut self, look: &Look) {
        if let Authority::Held(dated) = &look.seen.authority {
            self.remembered = Some(dated.clone());
        }
        if let Some(bundle) = look.bundle() {
            self.outlets.publish(bundle);
        }
        self.outlets.show(&look.seen);
        if self.outlets.own.borrow().is_some() {
            self.waiting = None;
        }
        self.tell_problems(look).await;
    }

    /// Nothing can be seen.
    fn blind(&mut self, why: &str) -> Turn {
        let now = Instant::now();
        self.metrics.certificate_failed("read");
        if self.resting.failed(None, Cause::Passing, why, now, fastrand::f64()) {
            tracing::error!(why, "certificates cannot be looked after; it is tried again");
        }
        let rest = self.resting.rest(None, now).unwrap_or(LOOK_EVERY_UNTOLD);
        Turn { pause: rest.min(LOOK_EVERY_UNTOLD), spreading: None }
    }

    fn look_every(&self) -> Duration {
        let places = [watches::place(&self.settings), Place::Cluster];
        if places.iter().any(|place| self.refusals.at(place)) { LOOK_EVERY_UNTOLD } else { LOOK_EVERY }
    }

    /// Returns when it is time, or something has changed.
    async fn wait(&self, turn: Turn) {
        let spread = async {
            match (&self.looks, &turn.spreading) {
                (Some(looks), Some(bundle)) => looks.until_all_hold(bundle).await,
                _ => std::future::pending().await,
            }
        };
        let changed = async {
            tokio::select! {
                () = self.wake.notified() => {}
                () = spread => {}
            }
        };
        // Time is a reason to look, too.
        let _ = timeout(turn.pause, changed).await;
    }
}

/// What comes after a turn.
struct Turn {
    /// How long nothing needs to be done; zero after a step.
    pause: Duration,
    /// What is to be everywhere first.
    spreading: Option<crate::authority::Bundle>,
}
