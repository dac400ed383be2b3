//! A server's process. Its output is read as a cluster's logging agent would, and not kept: there may be gigabytes.

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, anyhow, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::{Child, ChildStderr, Command},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::process::MARKER;

/// The longest anything here is waited for. It bounds a hang and is no part of any measurement.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    id: u32,
    address: SocketAddr,
    lines: watch::Receiver<u64>,
    leaked: Arc<AtomicBool>,
    _drains: JoinSet<()>,
    _child: Child,
}

impl Server {
    /// Starts `command` and returns when it says on standard error, in a line of JSON, where it serves gRPC.
    pub async fn start(name: &'static str, command: &mut Command) -> anyhow::Result<Self> {
        Self::start_saying("grpc", name, command).await
    }

    /// The same where the line's `field` says where it serves.
    pub async fn start_saying(field: &str, name: &'static str, command: &mut Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("{name} does not start"))?;
        let id = child.id().with_context(|| format!("{name} has ended"))?;
        let (stdout, stderr) = child.stdout.take().zip(child.stderr.take()).context("no pipes")?;
        let (counted, lines) = watch::channel(0);
        let leaked = Arc::new(AtomicBool::new(false));
        let mut stderr = BufReader::new(stderr);
        let address = timeout(PATIENCE, serving(field, &mut stderr)).await;
        let address =
            address.map_err(anyhow::Error::from).flatten().with_context(|| format!("{name} does not serve"))?;
        let mut drains = JoinSet::new();
        drains.spawn(drain(stdout, counted, Arc::clone(&leaked)));
        drains.spawn(drain(stderr, watch::Sender::default(), Arc::clone(&leaked)));
        Ok(Self { name, id, address, lines, leaked, _drains: drains, _child: child })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether a value was in what it printed.
    pub fn leaked(&self) -> bool {
        self.leaked.load(Ordering::SeqCst)
    }

    /// Waits for `expected` lines on its standard output and returns how many there are. A value in what it printed is
    /// an error.
    pub async fn lines(&self, expected: u64) -> anyhow::Result<u64> {
        let mut lines = self.lines.clone();
        let arrived = timeout(PATIENCE, lines.wait_for(|lines| *lines >= expected)).await;
        let count = *self.lines.borrow();
        ensure!(arrived.is_ok_and(|open| open.is_ok()), "{} printed {count} lines instead of {expected}", self.name);
        ensure!(!self.leaked(), "{} printed a value", self.name);
        Ok(count)
    }
}

async fn serving(field: &str, stderr: &mut BufReader<ChildStderr>) -> anyhow::Result<SocketAddr> {
    let mut lines = stderr.lines();
    let mut last = String::new();
    while let Some(line) = lines.next_line().await? {
        let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(address) = said[field].as_str() {
            return Ok(address.parse()?);
        }
        last = line;
    }
    Err(anyhow!("it ended after saying: {last}"))
}

async fn drain(mut stream: impl AsyncRead + Unpin, lines: watch::Sender<u64>, leaked: Arc<AtomicBool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let chunk = &buffer[..read];
        let ends: u64 = chunk.iter().map(|byte| u64::from(*byte == b'\n')).sum();
        lines.send_modify(|lines| *lines += ends);
        // A marker across two chunks goes unseen; a line that shows a value is printed thousands of times.
        if chunk.windows(MARKER.len()).any(|window| window == MARKER.as_bytes()) {
            leaked.store(true, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    const SERVING: &str = r#"echo '{"grpc":"127.0.0.1:1"}' >&2"#;

    #[tokio::test]
    async fn lines_are_counted_and_too_few_are_an_error() {
        let server = Server::start("sh", &mut shell(&format!("{SERVING}; echo a; echo b"))).await.unwrap();
        assert_eq!(server.address().port(), 1);
        assert_eq!(server.lines(2).await.unwrap(), 2);
        assert!(server.lines(3).await.unwrap_err().to_string().contains("2 lines instead of 3"));
    }

    #[tokio::test]
    async fn a_printed_value_is_an_error() {
        let server = Server::start("sh", &mut shell(&format!("{SERVING}; echo kw''canary; echo"))).await.unwrap();
        assert_eq!(server.lines(3).await.unwrap_err().to_string(), "sh printed 2 lines instead of 3");
        assert_eq!(server.lines(2).await.unwrap_err().to_string(), "sh printed a value");
    }

    #[tokio::test]
    async fn a_server_that_ends_instead_is_quoted() {
        let error = Server::start("sh", &mut shell("echo no certificate >&2")).await.unwrap_err();
        assert!(format!("{error:#}").contains("no certificate"), "{error:#}");
    }
}
