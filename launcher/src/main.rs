//! `keyward-launcher`: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyward_launcher::run()
}
