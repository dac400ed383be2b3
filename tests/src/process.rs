//! A program under observation: every line it prints is kept, can be waited for, and is searched for values.

use std::{
    fmt, io,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

/// What values made up by tests contain, so that a leak can be found. Assembled: this file is not a leak.
pub const MARKER: &str = concat!("kw", "canary");

/// How such values begin in base64, as Secrets travel.
const ENCODED: &str = concat!("a3dj", "YW5hcn");

/// How every JSON Web Token begins: `{"alg":` in base64url. Tokens are as secret as values.
const TOKEN: &str = "eyJhbGciOi";

/// The longest anything here is waited for. It bounds a hang and is no part of any measurement.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running program. Dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Lines>,
    pumps: JoinSet<()>,
    stdout_is_free: bool,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// Everything it printed on standard output.
    pub stdout: String,
    /// Everything it printed on standard error.
    pub stderr: String,
}

/// Why a program did not do what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It does not start, or cannot be waited for.
    #[error("{name}: {source}")]
    System {
        /// The program.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It did not print the line, or did not end, in time; or ended before.
    #[error("{name} did not {what}; it printed:\n{printed}")]
    Waited {
        /// The program.
        name: String,
        /// What was waited for.
        what: String,
        /// Its standard error, with what looks like a value left out.
        printed: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Stdout,
    Stderr,
}

struct Lines {
    seen: Mutex<Vec<(From, String)>>,
    count: watch::Sender<usize>,
    open: watch::Sender<usize>,
}

impl Process {
    /// Starts `command`, which must never print a value.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self, ProcessError> {
        Self::start(name, command, false)
    }

    /// Starts `command`, a launcher: the program that it becomes may print its values on standard output.
    pub fn spawn_launcher(name: &str, command: &mut Command) -> Result<Self, ProcessError> {
        Self::start(name, command, true)
    }

    fn start(name: &str, command: &mut Command, stdout_is_free: bool) -> Result<Self, ProcessError> {
        let system = |source| ProcessError::System { name: name.to_owned(), source };
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().map_err(system)?;
        let lines =
            Arc::new(Lines { seen: Mutex::default(), count: watch::Sender::new(0), open: watch::Sender::new(2) });
        let mut pumps = JoinSet::new();
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            pumps.spawn(pump(stdout, From::Stdout, Arc::clone(&lines)));
            pumps.spawn(pump(stderr, From::Stderr, Arc::clone(&lines)));
        }
        Ok(Self { name: name.to_owned(), child, lines, pumps, stdout_is_free })
    }

    /// The first line, printed already or yet to come, of which `wanted` makes something.
    pub async fn line<T>(&self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> Result<T, ProcessError> {
        self.nth_line(1, what, wanted).await
    }

    /// The `nth` such line, counted from 1.
    pub async fn nth_line<T>(
        &self,
        nth: usize,
        what: &str,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ProcessError> {
        let mut count = self.lines.count.subscribe();
        let mut open = self.lines.open.subscribe();
        let found = async {
            loop {
                let ended = *open.borrow_and_update() == 0;
                count.borrow_and_update();
                if let Some(found) = self.lines.lock().iter().filter_map(|(_, line)| wanted(line)).nth(nth - 1) {
                    return Some(found);
                }
                if ended {
                    return None;
                }
                let _ = tokio::select! {
                    changed = count.changed() => changed,
                    changed = open.changed() => changed,
                };
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(Some(found)) => Ok(found),
            _ => Err(self.waited(&format!("print {what}"))),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let sent = pid.map_or(Ok(()), |pid| kill_process(pid, signal));
        sent.map_err(|error| ProcessError::System { name: self.name.clone(), source: error.into() })
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end and for the last that it printed.
    pub async fn ended(&mut self) -> Result<ExitStatus, ProcessError> {
        let Ok(ended) = tokio::time::timeout(PATIENCE, self.child.wait()).await else {
            return Err(self.waited("end"));
        };
        let status = ended.map_err(|source| ProcessError::System { name: self.name.clone(), source })?;
        while self.pumps.join_next().await.is_some() {}
        Ok(status)
    }

    /// Waits for its end.
    pub async fn finish(mut self) -> Result<Finished, ProcessError> {
        let status = self.ended().await?;
        Ok(Finished { status, stdout: self.lines.text(From::Stdout), stderr: self.lines.text(From::Stderr) })
    }

    /// Asks it to end and waits for it.
    pub async fn stop(self) -> Result<Finished, ProcessError> {
        self.signal(Signal::TERM)?;
        self.finish().await
    }

    /// Everything it printed so far, standard output and standard error in the order of arrival.
    pub fn printed(&self) -> String {
        self.lines.lock().iter().fold(String::new(), |all, (_, line)| all + line + "\n")
    }

    /// The same as a failing test may show it: lines that hold a value or a token are left out.
    pub fn shown(&self) -> String {
        let printed: Vec<String> = self.lines.lock().iter().map(|(_, line)| without_values(line)).collect();
        printed.join("\n")
    }

    /// Whether it printed a value or a token where it must not; when it is dropped, that panics.
    pub fn leaked(&self) -> bool {
        let watched = |from: From| from == From::Stderr || !self.stdout_is_free;
        self.lines.lock().iter().any(|(from, line)| watched(*from) && is_secret(line))
    }

    fn waited(&self, what: &str) -> ProcessError {
        ProcessError::Waited { name: self.name.clone(), what: what.to_owned(), printed: self.shown() }
    }
}

impl Drop for Process {
    /// Every test is a test of this too: no program of ours prints a value that a test made up, nor a token.
    fn drop(&mut self) {
        // Printing the line would leak the value once more.
        assert!(!self.leaked() || std::thread::panicking(), "{} printed a value", self.name);
    }
}

impl Lines {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(From, String)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self, wanted: From) -> String {
        let seen = self.lock();
        let lines = seen.iter().filter(|(from, _)| *from == wanted);
        lines.fold(String::new(), |all, (_, line)| all + line + "\n")
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({})", self.name)
    }
}

async fn pump(stream: impl AsyncRead + Unpin, from: From, lines: Arc<Lines>) {
    let mut reader = BufReader::new(stream);
    let mut bytes = Vec::new();
    while matches!(reader.read_until(b'\n', &mut bytes).await, Ok(1..)) {
        let line = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
        lines.lock().push((from, line));
        lines.count.send_modify(|count| *count += 1);
        bytes.clear();
    }
    lines.open.send_modify(|open| *open -= 1);
}

/// Whether a line holds a value that a test made up, or a token.
pub fn is_secret(line: &str) -> bool {
    [MARKER, ENCODED, TOKEN].iter().any(|secret| line.contains(secret))
}

/// A line as a failing test may show it.
pub fn without_values(line: &str) -> String {
    if is_secret(line) { "(a line with a value)".to_owned() } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    async fn run(script: &str, start: fn(&str, &mut Command) -> Result<Process, ProcessError>) {
        start("sh", &mut shell(script)).unwrap().finish().await.unwrap();
    }

    #[tokio::test]
    #[should_panic(expected = "sh printed a value")]
    async fn a_value_on_standard_error_fails_the_test_that_owns_the_process() {
        run("echo kw''canary >&2", Process::spawn_launcher).await;
    }

    #[tokio::test]
    #[should_panic(expected = "sh printed a value")]
    async fn a_value_on_standard_output_does_too() {
        run("echo kw''canary", Process::spawn).await;
    }

    #[tokio::test]
    async fn a_launched_program_may_print_its_value() {
        run("echo kw''canary", Process::spawn_launcher).await;
    }

    #[tokio::test]
    async fn a_line_that_never_comes_is_an_error_that_shows_no_value() {
        let process = Process::spawn_launcher("sh", &mut shell("echo hello; echo kw''canary")).unwrap();
        let error =
            process.line("a greeting", |line| (line == "good day").then_some(())).await.unwrap_err().to_string();
        assert!(error.contains("hello") && !error.contains(MARKER), "another text");
    }
}
