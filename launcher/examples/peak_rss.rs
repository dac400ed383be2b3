//! Runs a command and prints the most memory it held, in KiB: `peak_rss COMMAND [ARGUMENT...]`.
//!
//! The system counts what a process held before it became another program too, so this program's own memory is the
//! least that it can report. That is why it is a small static program and no part of the benchmark.

use std::error::Error;
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};

#[allow(clippy::print_stdout, reason = "the number is this program's output")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().ok_or("usage: peak_rss COMMAND [ARGUMENT...]")?;
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("the command ended with {status}").into());
    }
    println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    Ok(())
}
