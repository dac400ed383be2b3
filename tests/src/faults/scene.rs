//! One vault, who asks for its objects, and trouble in each of the states that a broker can be in: nothing read yet, everything
//! in memory, in the middle of a poll, in the middle of a rollout.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
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

/// One trouble.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// What goes wrong.
    pub trouble: Trouble,
    /// Which replica it is about, where it is about one.
    pub replica: usize,
    /// For how long.
    pub lasts: Duration,
    /// Within which time after it everybody has the latest values.
    pub recovers: Duration,
}

/// What a check of everything so far said.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Values that were checked.
    pub reads: usize,
    /// Tries that brought none.
    pub failures: usize,
    /// What did not hold.
    pub breaches: Vec<Breach>,
}

/// Objects that are in memory from the first state on, and those that only a rollout asks for.
const USED: [usize; 3] = [0, 1, 2];
const NEW: std::ops::Range<usize> = 3..OBJECTS;

/// Who asks all along.
const CAST: [Kind; 3] = [Kind::Launcher, Kind::Kept, Kind::Controller];

/// Pods of a rollout, and between two of them.
const WAVE: usize = 6;
const APART: Duration = Duration::from_millis(60);

/// Until a poll comes by: an interval, and what a busy machine adds.
const POLL_COMES: Duration = Duration::from_secs(8);

/// What a budget is for.
const WINDOW: Duration = Duration::from_secs(10);

/// A vault on a stage, and its cast.
pub struct Scene {
    stage: Arc<Stage>,
    card: VaultCard,
    history: Arc<History>,
    promises: Promises,
    cast: Cast,
    deadline: Duration,
    seed: u64,
    moment: u64,
}

impl Scene {
    /// The cast wants nothing yet. Who asks gives up after `deadline`; `seed` decides about all that is left to chance.
    pub fn start(stage: &Arc<Stage>, card: VaultCard, deadline: Duration, seed: u64) -> anyhow::Result<Self> {
        let history = Arc::new(History::default());
        let actor = |who| Actor::new(who, &card.name, (stage, &history), deadline, seed);
        let actors = (0..).map(Client).zip(CAST).map(actor).collect::<anyhow::Result<Vec<_>>>()?;
        let (stage, cast, promises) = (Arc::clone(stage), Cast::start(actors), Promises::default());
        let scene = Self { stage, card, history, promises, cast, deadline, seed, moment: 0 };
        (0..OBJECTS).try_for_each(|object| scene.write(object))?;
        Ok(scene)
    }

    /// The trouble begins in this state, lasts, and is over; how long it took then until everybody had the latest, if that
    /// was in time.
    pub async fn act(&mut self, state: State, script: Script) -> anyhow::Result<Result<Duration, Breach>> {
        self.moment += 1;
        if state != State::Cold {
            let well = self.settles(script.recovers).await;
            well.map_err(|late| anyhow!("it was not well before: {late}; {}", self.verdict(script)))?;
        }
        self.promises = Promises { split: script.trouble.splits(), ..Promises::default() };
        self.promises.refusals = script.trouble.refusals();
        let began = Instant::now();
        let wave = match state {
            State::Cold | State::Warm => {
                self.begin(script).await?;
                None
            }
            State::MidPoll => {
                self.begin_in_a_poll(script).await?;
                None
            }
            State::MidRollout => Some(self.begin_in_a_rollout(script).await?),
        };
        self.cast.want(&USED);
        self.write(0)?;
        self.write(1)?;
        sleep(script.lasts).await;
        script.trouble.end(&self.stage, self.struck(script)).await?;
        let over = Instant::now();
        self.write(2)?;
        let settled = self.settles(script.recovers).await;
        let left = script.recovers.saturating_sub(over.elapsed());
        let rolled_out = match wave {
            Some(wave) => timeout(left, wave.join_all()).await.is_ok(),
            None => true,
        };
        if matches!(state, State::Warm | State::MidPoll) && script.trouble.leaves_memory() {
            self.promises.served.push((began, Instant::now()));
        }
        let rolled_out = if rolled_out { Ok(over.elapsed()) } else { Err(self.late(script.recovers, "a rollout")) };
        Ok(settled.and(rolled_out))
    }

    /// Returns once everybody has the latest of what they want, asked for from now on; says who has not within `bound`.
    pub async fn settles(&self, bound: Duration) -> Result<(), Breach> {
        self.cast.want(&USED);
        let since = Instant::now();
        let late = |events: &Events| {
            let pairs = (0..CAST.len()).flat_map(|actor| USED.map(|object| (Client(actor), object)));
            pairs.into_iter().find_map(|(client, object)| lacks(events, since, client, object))
        };
        if self.history.until(bound, |events| late(events).is_none()).await {
            return Ok(());
        }
        Err(self.late(bound, &self.history.look(late).unwrap_or_default()))
    }

    fn late(&self, bound: Duration, who: &str) -> Breach {
        let last = self.history.look(|events| events.failures.last().map(|failure| failure.reason.clone()));
        let said = last.map_or_else(String::new, |reason| format!(" (the last refusal: {reason})"));
        Breach::Late { bound, who: format!("{who}{said}") }
    }

    /// What is expected while somebody else's scene has this trouble.
    pub fn stand_by(&mut self, trouble: &Trouble) {
        self.promises = Promises { split: trouble.splits(), ..Promises::default() };
    }

    /// Checks everything since the last time. What was checked is forgotten, but for the latest write of each object: an older
    /// value is a wrong one from now on. Only while all is settled.
    pub fn judge(&mut self, script: Script) -> Verdict {
        let verdict = self.verdict(script);
        self.history.note(|events| {
            let latest: Vec<Write> = (0..OBJECTS).filter_map(|object| events.latest(object).cloned()).collect();
            *events = Events { writes: latest, ..Events::default() };
        });
        verdict
    }

    fn verdict(&self, script: Script) -> Verdict {
        let mut verdict = self.history.look(|events| Verdict {
            reads: events.reads.len(),
            failures: events.failures.len(),
            breaches: check::breaches(events, &self.promises),
        });
        verdict.breaches.extend(self.over_budget(script.trouble.delays_calls(script.lasts)));
        verdict
    }

    async fn begin(&self, script: Script) -> anyhow::Result<()> {
        script.trouble.begin(&self.stage, self.struck(script)).await
    }

    /// Holds a call of the next poll back until the trouble is there.
    async fn begin_in_a_poll(&self, script: Script) -> anyhow::Result<()> {
        let (faults, gate) = (self.stage.emulator.faults(), format!("{}-{}", self.card.name, self.moment));
        let held = faults.arm(Rule::hold(&gate).vault(&self.card.name))?;
        let gate = faults.gate(&gate);
        // Where no replica polls at this moment, the trouble comes all the same.
        let _ = timeout(POLL_COMES, gate.arrived(1)).await;
        self.begin(script).await?;
        gate.release();
        faults.lift(held);
        Ok(())
    }

    /// Pods start one after the other; after a third of them, the trouble is there.
    async fn begin_in_a_rollout(&self, script: Script) -> anyhow::Result<JoinSet<bool>> {
        let objects: Vec<usize> = USED[..2].iter().copied().chain(NEW).collect();
        let mut wave = JoinSet::new();
        for number in 0..WAVE {
            let who = (Client(100 * usize::try_from(self.moment)? + number), Kind::Launcher);
            let mut actor = Actor::new(who, &self.card.name, (&self.stage, &self.history), self.deadline, self.seed)?;
            let objects = objects.clone();
            wave.spawn(async move { actor.launch(&objects).await });
            sleep(APART).await;
            if number == WAVE / 3 {
                self.begin(script).await?;
            }
        }
        Ok(wave)
    }

    fn struck(&self, script: Script) -> Struck<'_> {
        let VaultCard { name, client, .. } = &self.card;
        Struck { vault: name, client, replica: script.replica, seed: self.seed }
    }

    /// Puts another version into the vault.
    fn write(&self, object: usize) -> anyhow::Result<()> {
        let vault = &self.card.name;
        let store = self.stage.emulator.store(vault).with_context(|| format!("there is no vault {vault}"))?;
        let number = self.history.look(|events| events.latest(object).map_or(1, |write| write.number + 1));
        let (name, text) = (stage::object(object), value(vault, object, number));
        let began = Instant::now();
        // Noted before anybody can note that it was read.
        self.history.note(|events| {
            let id = store.set_secret(&name, &text)?;
            let version = id.rsplit('/').next().unwrap_or_default().to_owned();
            events.writes.push(Write { object, number, began, version });
            Ok(())
        })
    }

    /// Whether any ten seconds saw more calls than the budget has. What came late by so much was sent within a longer time.
    fn over_budget(&self, late: Duration) -> Option<Breach> {
        let VaultCard { name, budget, .. } = &self.card;
        let report = self.stage.emulator.calls();
        let calls: Vec<_> = report.log().iter().filter(|call| call.vault == *name).map(|call| call.at).collect();
        let most = check::most_within(&calls, WINDOW.saturating_sub(late));
        (most > *budget).then(|| Breach::OverBudget { vault: name.clone(), calls: most, budget: *budget })
    }
}

/// What this client has of an object, asked for after `since`, where that is not the latest.
fn lacks(events: &Events, since: Instant, client: Client, object: usize) -> Option<String> {
    let latest = events.latest(object).map(|write| write.number);
    let last = events.reads.iter().rev().find(|read| read.client == client && read.object == object);
    let Some(Read { sent, number, replica, .. }) = last else {
        return Some(format!("client {} has nothing of object {object}", client.0));
    };
    let when = if *sent >= since { "" } else { "before that " };
    let well = *sent >= since && *number == latest;
    (!well).then(|| {
        format!("client {} {when}got {number:?} of object {object} from replica {replica}, not {latest:?}", client.0)
    })
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values, {} tries without any", self.reads, self.failures)?;
        self.breaches.iter().try_for_each(|breach| write!(f, "; {breach}"))
    }
}
