//! An application for pods of tests. Its first line tells, as JSON, how it was started and a hash of each of its variables,
//! never a value; after that it does what the variable `PROBE` says, one word after another.
//!
//! | word | does |
//! |---|---|
//! | `wait` | waits for SIGTERM, and prints that it came |
//! | `echo` | prints every line of standard input, until it ends |
//! | `fill` | takes memory until it is killed |
//! | `exit=N` | ends with this code |
//!
//! Without the variable it waits. With the one argument `report` it only tells: for `kubectl exec`.

mod report;

use std::{
    io::{self, BufRead as _, Write as _},
    process::ExitCode,
};

use nix::sys::signal::{SigSet, Signal};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let mut terminate = SigSet::empty();
    terminate.add(Signal::SIGTERM);
    // From here on it waits for us: the kernel drops what the first process of a container neither blocks nor handles.
    let done = terminate.thread_block().map_err(io::Error::from).and_then(|()| run(&terminate));
    done.unwrap_or_else(|error| {
        let _ = print(&json!({"error": error.to_string()}));
        ExitCode::FAILURE
    })
}

fn run(terminate: &SigSet) -> io::Result<ExitCode> {
    print(&report::of_this_process()?)?;
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "report") && arguments.next().is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    let words = std::env::var("PROBE").unwrap_or_else(|_| "wait".to_owned());
    for word in words.split_whitespace() {
        match word {
            "wait" => print(&json!({"signal": terminate.wait()?.as_str()}))?,
            "echo" => echo()?,
            "fill" => fill(),
            _ => match word.strip_prefix("exit=").and_then(|code| code.parse::<u8>().ok()) {
                Some(code) => return Ok(ExitCode::from(code)),
                None => return Err(io::Error::other(format!("PROBE: {word} is no word of it"))),
            },
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn echo() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        print(&json!({"read": line?}))?;
    }
    print(&json!({"read": null}))
}

fn fill() {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(vec![1; 1 << 20]);
        std::hint::black_box(&taken);
    }
}

/// One line. What is piped is written at once too.
fn print(line: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
