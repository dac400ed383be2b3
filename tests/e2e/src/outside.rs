//! The half that runs first: the cluster comes up, the suite runs in it, the cluster goes down, whatever happens.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus},
};

use anyhow::{Context as _, bail};
use keyward_tests::programs::Programs;
use libtest_mimic::{Arguments, Trial};
use tokio::{
    process::Command,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    args::Args,
    cluster::Cluster,
    installation,
    suite::{self, Test},
};

/// Runs the suite in a cluster of its own. The status is the suite's.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let names: Vec<String> =
        if args.installation { installation::names() } else { suite::all().iter().map(Test::name).collect() };
    if args.tests.list {
        let listed = names.into_iter().map(|name| Trial::test(name, || Ok(()))).collect();
        return Ok(libtest_mimic::run(&args.tests, listed).exit_code());
    }
    if !args.measures() && !names.iter().any(|name| is_wanted(&args.tests, name)) {
        bail!("no test's name is as asked for; `-- --list` shows them all");
    }
    let directory = args.work_directory();
    let cluster = Cluster::below(&directory);
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    let lock = directory.join("lock");
    let lock = File::create(&lock).with_context(|| lock.display().to_string())?;
    lock.try_lock().context("another such run is under way in this clone")?;
    cluster.run(&["check"])?;
    let program = build(args)?;
    if !args.measures() && !args.installation && wanted(args).any(|test| test.needs_definitions()) {
        cluster.run(&["definitions"])?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        // From here on a signal ends no more than what it must not interrupt: the cluster goes down first.
        let mut signals = Signals::new()?;
        let up = Up::start(cluster, args.keep)?;
        inside(&up.cluster, &program, &mut signals).await
    })?;
    Ok(match status {
        Some(status) if status.success() => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::from(130),
    })
}

/// Builds what will run, because inside there is no way to what building may need from elsewhere; where this program is
/// then.
fn build(args: &Args) -> anyhow::Result<PathBuf> {
    if args.installation || args.bench_start || (!args.measures() && wanted(args).any(|test| test.runs_pods())) {
        Programs::of_pods()?;
    }
    if args.installation {
        installation::build_images()?;
        return std::env::current_exe().context("this program");
    }
    // Built anew with all others, and its former file may be gone.
    Ok(args.programs()?.programs.path("e2e")?.to_owned())
}

/// The suite's tests that are asked for.
fn wanted(args: &Args) -> impl Iterator<Item = Test> {
    suite::all().into_iter().filter(|test| is_wanted(&args.tests, &test.name()))
}

/// libtest-mimic's own rule, which it does not tell.
fn is_wanted(wanted: &Arguments, name: &str) -> bool {
    let is_named = |filter: &String| if wanted.exact { name == filter } else { name.contains(filter.as_str()) };
    wanted.filter.as_ref().is_none_or(is_named) && !wanted.skip.iter().any(is_named)
}

/// This program once more, in the cluster's namespaces; `None` when a signal ended it.
async fn inside(cluster: &Cluster, program: &Path, signals: &mut Signals) -> anyhow::Result<Option<ExitStatus>> {
    let mut command = cluster.command(&["exec"]);
    command.arg(program).args(std::env::args_os().skip(1));
    let mut suite = Command::from(command).spawn()?;
    tokio::select! {
        status = suite.wait() => return Ok(Some(status?)),
        () = signals.any() => {}
    }
    suite.kill().await?;
    Ok(None)
}

/// What asks this process to end.
struct Signals([Signal; 2]);

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// A cluster that is up and goes down when this is dropped, unless it is to be kept.
struct Up {
    cluster: Cluster,
    keep: bool,
}

impl Up {
    fn start(cluster: Cluster, keep: bool) -> anyhow::Result<Self> {
        // What a run that was killed has left is not known; what one kept is wanted.
        if !keep && cluster.is_up()? {
            cluster.run(&["down"])?;
        }
        let up = Self { cluster, keep };
        up.cluster.run(&["up"])?;
        Ok(up)
    }
}

impl Drop for Up {
    #[allow(clippy::print_stderr, reason = "a program that people run")]
    fn drop(&mut self) {
        if self.keep {
            let state = self.cluster.state().display();
            eprintln!("e2e: the cluster stays; KEYWARD_CLUSTER_STATE={state} tests/cluster/down ends it");
        } else if let Err(error) = self.cluster.run(&["down"]) {
            eprintln!("e2e: {error}");
        }
    }
}
