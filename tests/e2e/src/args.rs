//! The command line: that of any Rust test, and what to do with the cluster.

use clap::Parser;
use libtest_mimic::Arguments;

/// The end-to-end suite on a real API server.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo e2e --")]
pub struct Args {
    /// Leave the cluster up afterwards, and use the one that a former --keep left
    #[arg(long)]
    pub keep: bool,

    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub tests: Arguments,
}
