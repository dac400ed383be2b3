//! The command line: that of any Rust test, and what to do with the cluster.

use std::path::PathBuf;

use clap::Parser;
use keyward_tests::programs::{Programs, ProgramsError};
use libtest_mimic::Arguments;

use crate::{cluster::repository, stand::Built};

/// The end-to-end suite on a real API server.
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo e2e --")]
pub struct Args {
    /// Leave the cluster up afterwards, and use the one that a former --keep left
    #[arg(long)]
    pub keep: bool,

    /// Measure what syncing costs instead: what `cargo bench-sync` does
    #[arg(long)]
    pub bench_sync: bool,

    /// Measure what injection adds to a pod's start instead: what `cargo bench-start` does
    #[arg(long, conflicts_with = "bench_sync")]
    pub bench_start: bool,

    /// Install the charts with their images on a cluster of its own instead: what `cargo e2e-install` does
    #[arg(long, conflicts_with_all = ["bench_sync", "bench_start"])]
    pub installation: bool,

    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub tests: Arguments,
}

impl Args {
    /// Whether something is to be measured, and nothing tested.
    pub fn measures(&self) -> bool {
        self.bench_sync || self.bench_start
    }

    /// Where the cluster and the logs are kept. The two suites run side by side.
    pub fn work_directory(&self) -> PathBuf {
        repository().join(if self.installation { "target/e2e-install" } else { "target/e2e" })
    }

    /// The workspace's programs, as tests or a measurement need them.
    pub fn programs(&self) -> Result<Built, ProgramsError> {
        Ok(if self.measures() {
            Built { programs: Programs::optimised()?, log_level: "info", copier_cpu: "100m" }
        } else {
            Built { programs: Programs::build()?, log_level: "debug", copier_cpu: "30m" }
        })
    }
}

/// Those of this process. `cargo e2e -- NAME` and `cargo e2e NAME` mean the same: the aliases have a `--` themselves.
pub fn of_process() -> Args {
    let mut words: Vec<_> = std::env::args_os().collect();
    if let Some(place) = words.iter().position(|word| word == "--") {
        words.remove(place);
    }
    Args::parse_from(words)
}
