//! One trouble with one vault, in each of the states that a broker can be in: nothing read yet, everything in memory, in the
//! middle of a poll, in the middle of a rollout.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    cast::{Actor, Cast, Kind},
    check::{self, Breach, Promises},
    history::{Client, Events, History, Read, Write},
    stage::{self, OBJECTS, Stage, VaultCard},
    trouble::{Struck, Trouble},
    value::value,
};
use crate::vault::Rule;

/// A state that trouble finds a broker in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing of the vault was read.
    Cold,
    /// What is asked for is in memory.
    Warm,
    /// A poll waits for an answer.
    MidPoll,
    /// Pods start, and need what is in memory and what is not.
    MidRollout,
}

impl State {
    /// In the order in which they come.
    pub const ALL: [Self; 4] = [Self::Cold, Self::Warm, Self::MidPoll, Self::MidRollout];

    /// In a word or two.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
            Self::MidPoll => "mid-poll",
            Self::MidRollout => "mid-rollout",
        }
    }
}

/// How a scene is played.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// What goes wrong.
    pub trouble: Trouble,
    /// For how long, each time.
    pub lasts: Duration,
    /// Within which time after it everybody has the latest values.
    pub recovers: Duration,
    /// How long an actor tries.
    pub deadline: Duration,
    /// Decides about everything that is left to chance.
    pub seed: u64,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What went wrong.
    pub trouble: &'static str,
    /// How many replicas there were.
    pub replicas: usize,
    /// How long it took until everybody had the latest values again, in each state.
    pub recovered: Vec<(State, Option<Duration>)>,
    /// Values that were checked.
    pub reads: usize,
    /// Tries that brought none.
    pub failures: usize,
    /// What did not hold.
    pub breaches: Vec<Breach>,
}

/// Objects that are in memory from the first state on, and those that only the rollout asks for.
const USED: [usize; 3] = [0, 1, 2];
const NEW: std::ops::Range<usize> = 3..OBJECTS;

/// Pods of a rollout, and between two of them.
const WAVE: usize = 6;
const APART: Duration = Duration::from_millis(60);

/// Until a poll comes by: an interval, and what a busy machine adds.
const POLL_COMES: Duration = Duration::from_secs(8);

/// A scene on a stage.
pub struct Scene {
    stage: Arc<Stage>,
    card: VaultCard,
    script: Script,
    history: Arc<History>,
    promises: Promises,
    recovered: Vec<(State, Option<Duration>)>,
    moment: u64,
}

impl Scene {
    /// Nothing has happened yet.
    pub fn new(stage: &Arc<Stage>, card: VaultCard, script: Script) -> anyhow::Result<Self> {
        let (split, refusals) = (script.trouble.splits(), script.trouble.refusals());
        let promises = Promises { split, refusals, ..Promises::default() };
        let (stage, history) = (Arc::clone(stage), Arc::new(History::default()));
        let scene = Self { stage, card, script, history, promises, recovered: Vec::new(), moment: 0 };
        (0..OBJECTS).try_for_each(|object| scene.write(object))?;
        Ok(scene)
    }

    /// Plays all of it.
    pub async fn play(mut self, states: &[State]) -> anyhow::Result<Outcome> {
        let kinds = [Kind::Launcher, Kind::Kept, Kind::Controller];
        let actors = (0..).map(Client).zip(kinds).map(|who| self.actor(who)).collect::<anyhow::Result<Vec<_>>>()?;
        let cast = Cast::start(actors);
        for state in states {
            self.act(*state, &cast, kinds.len()).await.with_context(|| state.as_str())?;
        }
        drop(cast);
        Ok(self.outcome())
    }

    /// One state: the trouble begins, lasts, and is over; in the end everybody has the latest.
    async fn act(&mut self, state: State, cast: &Cast, actors: usize) -> anyhow::Result<()> {
        self.moment += 1;
        if state != State::Cold {
            cast.want(&USED);
            let settled = self.settled(Instant::now(), actors, &USED).await;
            anyhow::ensure!(settled, "it was not well before");
        }
        let began = Instant::now();
        let wave = match state {
            State::Cold => {
                self.begin().await?;
                cast.want(&USED);
                None
            }
            State::Warm => {
                self.begin().await?;
                None
            }
            State::MidPoll => {
                self.begin_in_a_poll().await?;
                None
            }
            State::MidRollout => Some(self.begin_in_a_rollout().await?),
        };
        self.write(0)?;
        self.write(1)?;
        sleep(self.script.lasts).await;
        self.script.trouble.end(&self.stage, self.struck()).await?;
        let over = Instant::now();
        let again = if self.script.trouble.misdates() { &USED[..] } else { &USED[2..] };
        again.iter().try_for_each(|object| self.write(*object))?;
        let settled = self.settled(over, actors, &USED).await;
        let rolled_out = match wave {
            Some(wave) => timeout(self.script.recovers.saturating_sub(over.elapsed()), wave.join_all()).await.is_ok(),
            None => true,
        };
        let recovered = (settled && rolled_out).then(|| over.elapsed());
        if state != State::Cold && state != State::MidRollout && self.script.trouble.leaves_memory() {
            self.promises.served.push((began, Instant::now()));
        }
        self.recovered.push((state, recovered));
        Ok(())
    }

    async fn begin(&self) -> anyhow::Result<()> {
        self.script.trouble.begin(&self.stage, self.struck()).await
    }

    /// Holds a call of the next poll back until the trouble is there.
    async fn begin_in_a_poll(&self) -> anyhow::Result<()> {
        let (faults, gate) = (self.stage.emulator.faults(), format!("{}-{}", self.card.name, self.moment));
        faults.arm(Rule::hold(&gate).vault(&self.card.name).name(&gate))?;
        let gate = faults.gate(&gate);
        // Where no replica polls at this moment, the trouble comes all the same.
        let _ = timeout(POLL_COMES, gate.arrived(1)).await;
        self.begin().await?;
        gate.release();
        Ok(())
    }

    /// Pods start one after the other; after a third of them, the trouble is there.
    async fn begin_in_a_rollout(&self) -> anyhow::Result<JoinSet<bool>> {
        let objects: Vec<usize> = USED[..2].iter().copied().chain(NEW).collect();
        let mut wave = JoinSet::new();
        for number in 0..WAVE {
            let client = Client(100 * usize::try_from(self.moment)? + number);
            let (mut actor, objects) = (self.actor((client, Kind::Launcher))?, objects.clone());
            wave.spawn(async move { actor.launch(&objects).await });
            sleep(APART).await;
            if number == WAVE / 3 {
                self.begin().await?;
            }
        }
        Ok(wave)
    }

    fn actor(&self, who: (Client, Kind)) -> anyhow::Result<Actor> {
        let Script { deadline, seed, .. } = self.script;
        Actor::new(who, &self.card.name, (&self.stage, &self.history), deadline, seed)
    }

    fn struck(&self) -> Struck<'_> {
        let Script { seed, .. } = self.script;
        let replicas = self.stage.replicas.len() as u64;
        let replica = usize::try_from((seed + self.moment) % replicas).unwrap_or_default();
        Struck { vault: &self.card.name, client: &self.card.client, replica, moment: self.moment, seed }
    }

    /// Puts another version into the vault.
    fn write(&self, object: usize) -> anyhow::Result<()> {
        let vault = &self.card.name;
        let store = self.stage.emulator.store(vault).with_context(|| format!("there is no vault {vault}"))?;
        let number = self.history.look(|events| events.latest(object).map_or(1, |write| write.number + 1));
        let (name, text) = (stage::object(object), value(vault, object, number));
        // Noted before it can be read.
        let began = Instant::now();
        self.history.note(|events| {
            let id = store.set_secret(&name, &text)?;
            let version = id.rsplit('/').next().unwrap_or_default().to_owned();
            events.writes.push(Write { object, number, began, version });
            anyhow::Ok(())
        })
    }

    /// Whether within the time that is allowed each actor has the latest of `objects`, asked for after `since`.
    async fn settled(&self, since: Instant, actors: usize, objects: &[usize]) -> bool {
        let has = |events: &Events, actor: usize, object: usize| {
            let latest = events.latest(object).map(|write| write.number);
            let of_it = |read: &&Read| read.client == Client(actor) && read.object == object;
            let last = events.reads.iter().rev().find(of_it);
            last.is_some_and(|read| read.sent >= since && read.number == latest)
        };
        let all = |events: &Events| (0..actors).all(|actor| objects.iter().all(|object| has(events, actor, *object)));
        self.history.until(self.script.recovers, all).await
    }

    fn outcome(self) -> Outcome {
        let Script { trouble, recovers, lasts, .. } = self.script;
        let mut breaches = self.history.look(|events| check::breaches(events, &self.promises));
        let late = self.recovered.iter().filter(|(_, recovered)| recovered.is_none());
        breaches.extend(late.map(|_| Breach::Late { bound: recovers }));
        breaches.extend(over_budget(&self.stage, &self.card, trouble.delays_calls(lasts)));
        let (reads, failures) = self.history.look(|events| (events.reads.len(), events.failures.len()));
        let (trouble, replicas) = (trouble.name(), self.stage.replicas.len());
        Outcome { trouble, replicas, recovered: self.recovered, reads, failures, breaches }
    }
}

/// Whether any ten seconds saw more calls than the budget has. What came late by so much was sent within a longer time.
fn over_budget(stage: &Stage, card: &VaultCard, late: Duration) -> Option<Breach> {
    let report = stage.emulator.calls();
    let calls: Vec<_> = report.log().iter().filter(|call| call.vault == card.name).map(|call| call.at).collect();
    let most = check::most_within(&calls, WINDOW.saturating_sub(late));
    let vault = card.name.clone();
    (most > card.budget).then_some(Breach::OverBudget { vault, calls: most, budget: card.budget })
}

/// What a budget is for.
const WINDOW: Duration = Duration::from_secs(10);
