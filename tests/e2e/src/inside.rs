//! The half that runs in the cluster's namespaces: the tests, one after another.

use std::{fs, panic::AssertUnwindSafe, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use futures::FutureExt as _;
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;

use crate::{
    args::Args,
    bench,
    cluster::Cluster,
    installation,
    scene::{Scene, World},
    suite::{self, Test},
};

/// The longest that one test may take. It bounds a hang.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs the tests that are asked for.
pub fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    // The first provider wins; there is no other in this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // They share one broker and one API server, and some stop these.
    args.tests.test_threads.get_or_insert(1);
    let (cluster, logs) = (Cluster::below(&args.work_directory()), args.work_directory().join("logs"));
    match fs::remove_dir_all(&logs) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).context("old logs"),
        _ => fs::create_dir_all(&logs)?,
    }
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().enable_all().build()?);
    if args.installation {
        return installation::run(&args.tests, &runtime, cluster, logs);
    }
    let world = Arc::new(runtime.block_on(World::new(cluster, logs, args.programs()?))?);
    if args.measures() {
        let good = runtime.block_on(async {
            let good = if args.bench_sync {
                bench::run(Arc::clone(&world)).await
            } else {
                bench::start::run(Arc::clone(&world)).await
            };
            world.end().await?;
            good
        })?;
        return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let trials = suite::all().into_iter().map(|test| trial(test, &runtime, &world)).collect();
    let conclusion = libtest_mimic::run(&args.tests, trials);
    let clean = runtime.block_on(world.end());
    #[allow(clippy::print_stderr, reason = "a program that people run")]
    if conclusion.has_failed() || clean.is_err() {
        eprintln!("e2e: what the processes printed is in {}", world.logs().display());
        eprintln!("e2e: what the cluster's components printed is in {}", world.cluster().state().join("log").display());
    }
    clean?;
    Ok(conclusion.exit_code())
}

fn trial(test: Test, runtime: &Arc<Runtime>, world: &Arc<World>) -> Trial {
    let (runtime, world) = (Arc::clone(runtime), Arc::clone(world));
    Trial::test(test.name(), move || {
        runtime.block_on(play(&test, world)).map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// One test, and then the end of its scene, even of one that failed or panicked.
async fn play(test: &Test, world: Arc<World>) -> anyhow::Result<()> {
    let scene = Scene::new(world);
    let played = tokio::time::timeout(PATIENCE, AssertUnwindSafe((test.run)(&scene)).catch_unwind()).await;
    let ended = scene.end().await;
    match played {
        Ok(Ok(result)) => result?,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_) => bail!("not done after {PATIENCE:?}"),
    }
    ended.context("the test passed, and then its scene did not end as it must")
}
