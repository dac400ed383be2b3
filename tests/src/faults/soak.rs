//! A long while: steady load, one trouble after the other as chance will have it, and at the end the question whether anything was
//! left behind. `cargo soak` does it.

use std::{
    collections::BTreeMap,
    fmt, fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use fastrand::Rng;
use tokio::time::sleep;

use super::{
    hostile::Hostile,
    scene::{Scene, Script, State, Verdict},
    stage::{Building, Stage, VaultCard},
    trouble::{OF_REPLICAS, OF_STAGE, OF_VAULT, Trouble},
};
use crate::footprint::Memory;

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// For how long.
    pub lasts: Duration,
    /// Brokers. The last is the one that is killed; what others leave behind is counted.
    pub replicas: usize,
    /// Vaults, each with a cast.
    pub vaults: usize,
    /// Decides about everything.
    pub seed: u64,
}

/// How much memory may have grown from the first quarter to the last.
pub const MAX_GROWTH: f64 = 0.10;

/// Requests to a vault in any ten seconds.
const BUDGET: usize = 80;
/// Within which time after any trouble everybody has the latest values.
const RECOVERS: Duration = Duration::from_secs(45);
const DEADLINE: Duration = Duration::from_secs(120);
/// The shortest trouble, and by how much others may be longer.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGER: Duration = Duration::from_millis(5_500);
/// Before it is counted what somebody has: connections and what they need come and go.
const QUIET: Duration = Duration::from_secs(12);

/// What a process has at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holds {
    /// Bytes in memory.
    pub resident: u64,
    /// Open files, sockets included.
    pub files: u64,
    /// Tasks of its runtime.
    pub tasks: u64,
}

/// Of one trouble, all times together.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    times: usize,
    slowest: Duration,
    verdict: Verdict,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Soaked {
    /// By trouble.
    pub tallies: BTreeMap<&'static str, Tally>,
    /// Of each replica that was never killed: before, after, and memory all along.
    pub held: Vec<Held>,
    /// How often somebody asked who may read nothing.
    pub refused: u64,
    /// What did not hold.
    pub breaches: Vec<String>,
}

/// What one replica had.
#[derive(Clone, Debug)]
pub struct Held {
    /// In quiet, before the first trouble and after the last.
    pub quiet: [Holds; 2],
    /// Memory after each trouble, in order.
    pub resident: Vec<u64>,
}

/// Soaks.
pub async fn run(soak: Soak) -> anyhow::Result<Soaked> {
    let vaults: Vec<_> = (0..soak.vaults).map(|number| VaultCard::new(number, BUDGET)).collect();
    let names: Vec<_> = vaults.iter().map(|card| card.name.clone()).collect();
    let stage = Arc::new(
        Stage::open(Building { replicas: soak.replicas, vaults: vaults.clone(), ..Building::default() }).await?,
    );
    let hostile = Hostile::start(&stage, names, soak.seed)?;
    let start = |(seed, card)| Scene::start(&stage, card, DEADLINE, seed);
    let mut scenes = (soak.seed..).zip(vaults).map(start).collect::<anyhow::Result<Vec<_>>>()?;
    all_settle(&scenes).await.context("in the beginning")?;
    let (before, mut resident) = (holds_in_quiet(&stage, soak).await?, vec![Vec::new(); steady(soak)]);

    let mut soaked = Soaked { tallies: BTreeMap::new(), held: Vec::new(), refused: 0, breaches: Vec::new() };
    let (began, mut random) = (Instant::now(), Rng::with_seed(soak.seed));
    while began.elapsed() < soak.lasts {
        let trouble = any_trouble(&mut random, soak.replicas);
        turn(&mut scenes, trouble, soak, &mut random, &mut soaked).await.with_context(|| trouble.name())?;
        for (number, resident) in resident.iter_mut().enumerate() {
            resident.push(holds(&stage, number).await?.resident);
        }
    }
    let after = holds_in_quiet(&stage, soak).await?;
    let quiet = before.into_iter().zip(after).zip(resident);
    soaked.held = quiet.map(|((before, after), resident)| Held { quiet: [before, after], resident }).collect();
    soaked.refused = hostile.asked();
    soaked.breaches.extend(hostile.breaches().iter().map(ToString::to_string));
    soaked.breaches.extend(stage.complaints().await);
    let left: Vec<_> = (0..).zip(&soaked.held).flat_map(|(number, held)| left_behind(number, held)).collect();
    soaked.breaches.extend(left);
    Ok(soaked)
}

/// One trouble with one vault, and a check of all.
async fn turn(
    scenes: &mut [Scene],
    trouble: Trouble,
    soak: Soak,
    random: &mut Rng,
    soaked: &mut Soaked,
) -> anyhow::Result<()> {
    let state = [State::Warm, State::MidPoll, State::MidRollout][random.usize(..3)];
    let replica = if trouble.ends_programs() { soak.replicas - 1 } else { random.usize(..soak.replicas) };
    let lasts = SHORTEST + LONGER.mul_f64(random.f64());
    let script = Script { trouble, replica, lasts, recovers: RECOVERS };
    let struck = random.usize(..scenes.len());
    let bystanders = scenes.iter_mut().enumerate().filter(|(number, _)| *number != struck);
    bystanders.for_each(|(_, scene)| scene.stand_by(&trouble));
    let scene = scenes.get_mut(struck).context("there is no scene")?;
    let recovered = scene.act(state, script).await?;
    all_settle(scenes).await?;
    let tally = soaked.tallies.entry(trouble.name()).or_default();
    tally.times += 1;
    match recovered {
        Ok(recovered) => tally.slowest = tally.slowest.max(recovered),
        Err(late) => {
            soaked.breaches.push(format!("{}, {}: {late}", trouble.name(), state.as_str()));
            tally.verdict.breaches.push(late);
        }
    }
    for scene in scenes {
        let Verdict { reads, failures, breaches } = scene.judge(script);
        tally.verdict.reads += reads;
        tally.verdict.failures += failures;
        soaked
            .breaches
            .extend(breaches.iter().map(|breach| format!("{}, {}: {breach}", trouble.name(), state.as_str())));
        tally.verdict.breaches.extend(breaches);
    }
    Ok(())
}

async fn all_settle(scenes: &[Scene]) -> anyhow::Result<()> {
    let settled = futures::future::join_all(scenes.iter().map(|scene| scene.settles(RECOVERS))).await;
    settled.into_iter().collect::<Result<(), _>>().map_err(|late| anyhow!("{late}"))
}

/// Any of those that need no stage of their own.
fn any_trouble(random: &mut Rng, replicas: usize) -> Trouble {
    let of_stage = OF_STAGE.into_iter().chain(OF_REPLICAS.into_iter().filter(|_| replicas > 1));
    let of_stage: Vec<_> = of_stage.filter(|trouble| !trouble.is_of_the_cluster()).collect();
    // As often one of these as a vault's.
    if random.bool() {
        of_stage[random.usize(..of_stage.len())]
    } else {
        Trouble::Vault(&OF_VAULT[random.usize(..OF_VAULT.len())])
    }
}

/// Replicas that are never killed.
fn steady(soak: Soak) -> usize {
    soak.replicas.saturating_sub(1).max(1)
}

async fn holds_in_quiet(stage: &Stage, soak: Soak) -> anyhow::Result<Vec<Holds>> {
    sleep(QUIET).await;
    let mut all = Vec::new();
    for number in 0..steady(soak) {
        all.push(holds(stage, number).await?);
    }
    Ok(all)
}

async fn holds(stage: &Stage, number: usize) -> anyhow::Result<Holds> {
    let replica = stage.replica(number)?;
    let process = replica.id().await.context("it does not run")?;
    let files = fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64;
    let metrics = replica.told("metrics").await?;
    let tasks = metrics.lines().find_map(|line| line.strip_prefix("keyward_tasks ")).context("no count of tasks")?;
    // A gauge is written with a point.
    let tasks = tasks.split('.').next().unwrap_or_default().parse()?;
    Ok(Holds { resident: Memory::of(process)?.resident, files, tasks })
}

/// What is more than it was; connections under way are no leak, so a few are let pass.
fn left_behind(number: usize, held: &Held) -> Vec<String> {
    let [before, after] = held.quiet;
    let mut found = Vec::new();
    for (what, before, after) in [("files", before.files, after.files), ("tasks", before.tasks, after.tasks)] {
        if after > before + SLACK {
            found.push(format!("replica {number} has {after} {what} open and had {before}"));
        }
    }
    let growth = growth(&held.resident);
    if growth > MAX_GROWTH {
        found.push(format!("replica {number} grew by {:.0} %", growth * 100.0));
    }
    found
}

/// Each actor has a connection or two, and which replica has them is chance.
const SLACK: u64 = 24;

/// The last quarter's median over the first's.
fn growth(resident: &[u64]) -> f64 {
    let quarter = (resident.len() / 4).max(1).min(resident.len());
    let median = |part: &[u64]| {
        let mut sorted = part.to_vec();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(1)
    };
    #[allow(clippy::cast_precision_loss, reason = "a ratio")]
    let [first, last] =
        [median(&resident[..quarter]), median(&resident[resident.len() - quarter..])].map(|it| it as f64);
    last / first - 1.0
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<26}{:>7}{:>10}{:>9}{:>9}{:>10}",
            "trouble", "times", "slowest", "values", "retries", "breaches"
        )?;
        for (name, Tally { times, slowest, verdict: Verdict { reads, failures, breaches } }) in &self.tallies {
            let slowest = format!("{:.1} s", slowest.as_secs_f64());
            writeln!(f, "{name:<26}{times:>7}{slowest:>10}{reads:>9}{failures:>9}{:>10}", breaches.len())?;
        }
        writeln!(f, "{:<26}{:>14}{:>14}{:>14}", "replica", "files", "tasks", "memory")?;
        for (number, Held { quiet: [before, after], resident }) in self.held.iter().enumerate() {
            let changes = [(before.files, after.files), (before.tasks, after.tasks)];
            let [files, tasks] = changes.map(|(before, after)| format!("{before} → {after}"));
            writeln!(f, "{number:<26}{files:>14}{tasks:>14}{:>13.1} %", growth(resident) * 100.0)?;
        }
        writeln!(f, "{} callers who may read nothing refused, {} breaches", self.refused, self.breaches.len())?;
        self.breaches.iter().try_for_each(|breach| writeln!(f, "  {breach}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(files: [u64; 2], tasks: [u64; 2], resident: &[u64]) -> Held {
        let holds = |n: usize| Holds { resident: 0, files: files[n], tasks: tasks[n] };
        Held { quiet: [holds(0), holds(1)], resident: resident.to_vec() }
    }

    #[test]
    fn what_is_left_behind_is_told_and_a_few_connections_are_not() {
        let flat = [100, 110, 90, 100, 100, 105, 100, 108];
        let growing = [100, 100, 105, 108, 110, 115, 120, 120];
        for (files, tasks, resident, found) in [
            ([50, 50 + SLACK], [30, 10], flat, 0),
            ([50, 51 + SLACK], [30, 30], flat, 1),
            ([50, 50], [30, 31 + SLACK], growing, 2),
        ] {
            assert_eq!(left_behind(0, &held(files, tasks, &resident)).len(), found, "{files:?} {tasks:?}");
        }
        assert_eq!(left_behind(0, &held([1, 1], [1, 1], &[7])), Vec::<String>::new());
    }
}
