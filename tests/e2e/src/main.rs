//! `cargo e2e`: the end-to-end suite. `cargo e2e -- --help` shows what it takes.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyward_e2e::run()
}
