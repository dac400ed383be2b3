//! `cargo e2e-install`: the charts with their images, installed by helm on a cluster of its own, from the first command to the
//! last. Nothing of the [stand](crate::stand) runs here.
//!
//! The steps are one story: each goes on where the one before it has ended. Who asks for one step gets those before it too.
//!
//! | room | holds |
//! |---|---|
//! | [`site`] | what the steps share |
//! | [`images`] | the components' images, built and pushed |
//! | [`release`] | the release `keyward`: its values, and what helm does with it |
//! | [`emulator`] | the release's Key Vault, which people change |
//! | [`first`] | the first pod that a user starts |
//! | [`akv2k8s`] | what akv2k8s leaves on a cluster |
//! | [`traffic`] | pods that are created and values that are resolved without a pause, and what fails of that |
//! | [`authority`] | who trusts which certificate authority |
//! | [`leaks`] | what pods print, searched for values while there is something to search |
//! | `steps` | the steps |

pub mod akv2k8s;
pub mod authority;
pub mod emulator;
pub mod first;
pub mod images;
pub mod leaks;
pub mod release;
pub mod site;
mod steps;
pub mod traffic;

use std::{
    panic::AssertUnwindSafe,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use futures::{FutureExt as _, future::LocalBoxFuture};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

pub use self::images::build as build_images;
use self::site::Site;
use crate::cluster::Cluster;

/// The longest that one step may take. It bounds a hang.
const PATIENCE: Duration = Duration::from_secs(600);

/// A step.
#[derive(Clone, Copy)]
struct Step {
    sentence: &'static str,
    /// Whether the story ends where it fails.
    carries: bool,
    run: for<'a> fn(&'a Site) -> LocalBoxFuture<'a, anyhow::Result<()>>,
}

/// The names of all steps, in order.
pub fn names() -> Vec<String> {
    steps::STEPS.iter().map(|step| format!("installation::{}", step.sentence)).collect()
}

/// Plays the steps that are asked for, and those before them.
pub fn run(tests: &Arguments, runtime: &Arc<Runtime>, cluster: Cluster, logs: PathBuf) -> anyhow::Result<ExitCode> {
    let story = Arc::new(Story {
        runtime: Arc::clone(runtime),
        site: runtime.block_on(Site::new(cluster, logs))?,
        played: Mutex::default(),
    });
    let trials = names().into_iter().enumerate().map(|(number, name)| {
        let story = Arc::clone(&story);
        Trial::test(name, move || story.play_to(number).map_err(|error| Failed::from(format!("{error:#}"))))
    });
    let conclusion = libtest_mimic::run(tests, trials.collect());
    story.tell();
    Ok(conclusion.exit_code())
}

struct Story {
    runtime: Arc<Runtime>,
    site: Site,
    played: Mutex<Vec<Played>>,
}

struct Played {
    took: Duration,
    failed: bool,
}

impl Story {
    /// Plays all steps up to this one that were not played yet; the outcome is this one's.
    fn play_to(&self, number: usize) -> anyhow::Result<()> {
        let mut played = self.played.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = Ok(());
        for step in &steps::STEPS[played.len()..=number] {
            let broken = played.iter().zip(steps::STEPS).find(|(played, step)| played.failed && step.carries);
            if let Some((_, broken)) = broken {
                return Err(anyhow!("not tried, because {} failed", broken.sentence));
            }
            let began = Instant::now();
            outcome = self.runtime.block_on(self.play(step));
            played.push(Played { took: began.elapsed(), failed: outcome.is_err() });
        }
        outcome
    }

    /// One step. What can be seen of the cluster after a failure is written down.
    async fn play(&self, step: &Step) -> anyhow::Result<()> {
        let played = tokio::time::timeout(PATIENCE, AssertUnwindSafe((step.run)(&self.site)).catch_unwind()).await;
        let outcome = match played {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(anyhow!("it panicked")),
            Err(_) => Err(anyhow!("not done after {PATIENCE:?}")),
        };
        let outcome = outcome.and_then(|()| self.site.search.nothing_found());
        if outcome.is_err() {
            self.site.describe(step.sentence).await;
        }
        outcome
    }

    /// What took how long, and what the steps have noted.
    #[allow(clippy::print_stdout, reason = "a program that people run")]
    fn tell(&self) {
        let played = self.played.lock().unwrap_or_else(PoisonError::into_inner);
        for (played, step) in played.iter().zip(steps::STEPS) {
            let failed = if played.failed { ", which failed" } else { "" };
            println!("install: {:>6.1} s  {}{failed}", played.took.as_secs_f32(), step.sentence);
        }
        for note in self.site.notes() {
            println!("install: {note}");
        }
    }
}
