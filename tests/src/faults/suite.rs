//! Which scenes are played, on which stages, and for how long.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::{StreamExt as _, stream};

use super::{
    check::Breach,
    hostile::Hostile,
    scene::{Scene, Script, State, Verdict},
    stage::{Building, Stage, VaultCard},
    trouble::{OF_REPLICAS, OF_STAGE, OF_VAULT, Trouble},
};

/// Requests to a vault in any ten seconds: what polls and reads need is more than half of it.
const BUDGET: usize = 80;

/// Breaches of one trouble that are told one by one.
const SHOWN: usize = 4;

/// How all scenes are played.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// How long each trouble lasts.
    pub lasts: Duration,
    /// Within which time after it everybody has the latest values.
    pub recovers: Duration,
    /// How long an actor tries.
    pub deadline: Duration,
    /// Stages at a time.
    pub stages: usize,
    /// Only troubles whose names contain this.
    pub only: &'static str,
}

impl Length {
    fn plays(&self, trouble: &Trouble) -> bool {
        trouble.name().contains(self.only)
    }

    /// Long enough for each trouble to be felt. Dozens of brokers share the machine: it takes longer than one alone would.
    pub const SHORT: Self = Self {
        lasts: Duration::from_millis(1_500),
        recovers: Duration::from_secs(60),
        deadline: Duration::from_secs(120),
        stages: 4,
        only: "",
    };

    /// Longer than a poll's interval and its slack: what is held becomes stale.
    pub const LONG: Self = Self { lasts: Duration::from_secs(5), ..Self::SHORT };
}

/// What became of one trouble, in each state.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What went wrong.
    pub trouble: &'static str,
    /// How many replicas there were.
    pub replicas: usize,
    /// How long it took until everybody had the latest values again.
    pub recovered: Vec<(State, Option<Duration>)>,
    /// What was checked.
    pub verdict: Verdict,
}

/// What became of all scenes of a stage.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// Of each scene.
    pub outcomes: Vec<Outcome>,
    /// How often somebody asked who may read nothing.
    pub refused: u64,
    /// What did not hold beside what scenes say.
    pub breaches: Vec<Breach>,
}

impl Played {
    /// Everything that did not hold, and where.
    pub fn failures(&self) -> Vec<String> {
        let of_scene = |outcome: &Outcome| {
            let at = format!("{}, {} replicas", outcome.trouble, outcome.replicas);
            let breaches = &outcome.verdict.breaches;
            let more = breaches.len().checked_sub(SHOWN).filter(|more| *more > 0);
            let shown = breaches.iter().take(SHOWN).map(|breach| format!("{at}: {breach}"));
            shown.chain(more.map(|more| format!("{at}: and {more} more"))).collect::<Vec<_>>()
        };
        let of_stage = self.breaches.iter().map(ToString::to_string);
        self.outcomes.iter().flat_map(of_scene).chain(of_stage).collect()
    }

    fn and(mut self, other: Self) -> Self {
        self.outcomes.extend(other.outcomes);
        self.breaches.extend(other.breaches);
        self.refused += other.refused;
        self
    }
}

/// Every fault of the emulator, at once, each in a vault of its own.
pub async fn of_vault(replicas: usize, length: Length, seed: u64) -> anyhow::Result<Played> {
    let troubles: Vec<_> = OF_VAULT.iter().map(Trouble::Vault).filter(|trouble| length.plays(trouble)).collect();
    if troubles.is_empty() {
        return Ok(Played::default());
    }
    play(&troubles, replicas, length, seed).await
}

/// Trouble with processes, networks and clocks, each on a stage of its own.
pub async fn of_stage(replicas: usize, length: Length, seed: u64) -> anyhow::Result<Played> {
    let troubles = OF_STAGE.into_iter().chain(OF_REPLICAS.into_iter().filter(|_| replicas > 1));
    let played = troubles
        .filter(|trouble| length.plays(trouble))
        .map(|trouble| async move { play(&[trouble], replicas, length, seed).await.with_context(|| trouble.name()) });
    let all: Vec<_> = stream::iter(played).buffer_unordered(length.stages).collect().await;
    all.into_iter().try_fold(Played::default(), |played, one| Ok(played.and(one?)))
}

/// `troubles` at once on one stage, each with a vault of its own.
async fn play(troubles: &[Trouble], replicas: usize, length: Length, seed: u64) -> anyhow::Result<Played> {
    let vaults: Vec<_> = (0..troubles.len()).map(|number| VaultCard::new(number, BUDGET)).collect();
    let cluster = troubles.iter().any(Trouble::is_of_the_cluster);
    let building = Building { replicas, vaults: vaults.clone(), cluster, ..Building::default() };
    let stage = Arc::new(Stage::open(building).await?);
    let hostile = Hostile::start(&stage, vaults.iter().map(|card| card.name.clone()).collect(), seed)?;
    let scenes = (seed..).zip(troubles.iter().zip(vaults)).map(|(seed, (trouble, card))| {
        let stage = &stage;
        async move {
            let scene = Scene::start(stage, card, length.deadline, seed)?;
            in_every_state(scene, *trouble, replicas, length, seed).await.with_context(|| trouble.name())
        }
    });
    let outcomes = futures::future::try_join_all(scenes).await?;
    let mut breaches = hostile.breaches();
    breaches.extend(stage.complaints().await.into_iter().map(|what| Breach::Program { what }));
    if stage.emulator.calls().forgotten() > 0 {
        breaches.push(Breach::Program { what: "the call log is too short to prove anything".to_owned() });
    }
    Ok(Played { outcomes, refused: hostile.asked(), breaches })
}

/// One trouble with one vault, state after state; each is judged by itself.
async fn in_every_state(
    mut scene: Scene,
    trouble: Trouble,
    replicas: usize,
    length: Length,
    seed: u64,
) -> anyhow::Result<Outcome> {
    let Length { lasts, recovers, .. } = length;
    let mut outcome = Outcome { trouble: trouble.name(), replicas, recovered: Vec::new(), verdict: Verdict::default() };
    for (turn, state) in (seed..).zip(State::ALL) {
        let replica = usize::try_from(turn % replicas as u64)?;
        let script = Script { trouble, replica, lasts, recovers };
        let recovered = scene.act(state, script).await.with_context(|| state.as_str())?;
        outcome.recovered.push((state, recovered.as_ref().ok().copied()));
        let Verdict { reads, failures, breaches } = scene.judge(script);
        outcome.verdict.reads += reads;
        outcome.verdict.failures += failures;
        outcome.verdict.breaches.extend(breaches);
        if let Err(late) = recovered {
            outcome.verdict.breaches.push(late);
            break;
        }
    }
    Ok(outcome)
}
