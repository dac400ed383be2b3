//! A broker that comes and goes. Clients and other replicas reach it at addresses that stay.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{process::Command, sync::Mutex};

use crate::{
    faults::link::{Link, Mood},
    process::{Process, Signal},
    rotation::until,
    stand::serving,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Where a broker's audit lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To whoever reads them.
    Kept,
    /// To a disk that is full.
    Full,
}

/// How one is started.
pub(super) struct Settings {
    pub(super) number: usize,
    pub(super) program: PathBuf,
    pub(super) environment: BTreeMap<&'static str, String>,
}

/// A broker.
pub struct Replica {
    settings: Settings,
    door: Link,
    running: Mutex<Option<Running>>,
}

struct Running {
    process: Process,
    admin: SocketAddr,
}

impl Replica {
    pub(super) async fn new(settings: Settings) -> anyhow::Result<Self> {
        let door = Link::to(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))).await?;
        Ok(Self { settings, door, running: Mutex::default() })
    }

    /// Where clients find it.
    pub(super) fn door(&self) -> SocketAddr {
        self.door.address()
    }

    /// What becomes of bytes between clients and it.
    pub fn way_in(&self, mood: Mood) {
        self.door.set(mood);
    }

    /// Starts it, and returns where it serves.
    pub(super) async fn start(&self, output: Output) -> anyhow::Result<SocketAddr> {
        let Settings { number, program, environment } = &self.settings;
        let mut command = match output {
            Output::Kept => Command::new(program),
            Output::Full => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", r#"exec "$0" "$@" >/dev/full"#]).arg(program);
                shell
            }
        };
        command.arg("serve").env_clear().envs(environment).stdin(Stdio::null());
        let process = Process::spawn(&format!("keyward-broker {number}"), &mut command)?;
        let (address, admin) = serving(&process).await?;
        self.door.lead_to(address);
        *self.running.lock().await = Some(Running { process, admin });
        Ok(address)
    }

    /// Returns once it says that it is ready.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let admin = self.running.lock().await.as_ref().map(|running| running.admin).context("it does not run")?;
        let ready = async || match reqwest::get(format!("http://{admin}/readyz")).await {
            Ok(answer) => answer.status().is_success(),
            Err(_) => false,
        };
        until(&format!("replica {} is ready", self.settings.number), PATIENCE, ready).await
    }

    /// Ends it as a node that is lost does.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.end(Signal::KILL).await
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.end(Signal::TERM).await
    }

    async fn end(&self, signal: Signal) -> anyhow::Result<()> {
        if let Some(Running { process, .. }) = self.running.lock().await.take() {
            process.signal(signal)?;
            process.finish().await?;
        }
        Ok(())
    }

    /// Sends it a signal.
    pub async fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let running = self.running.lock().await;
        Ok(running.as_ref().context("it does not run")?.process.signal(signal)?)
    }

    /// Its process id, while it runs.
    pub async fn id(&self) -> Option<u32> {
        self.running.lock().await.as_ref().and_then(|running| running.process.id())
    }

    /// What its admin port says.
    pub async fn told(&self, path: &str) -> anyhow::Result<String> {
        let admin = self.running.lock().await.as_ref().map(|running| running.admin).context("it does not run")?;
        Ok(reqwest::get(format!("http://{admin}/{path}")).await?.text().await?)
    }

    /// What is wrong with it, if anything.
    pub(super) async fn complaint(&self) -> Option<String> {
        let number = self.settings.number;
        let mut running = self.running.lock().await;
        match running.as_mut() {
            None => Some(format!("replica {number} does not run")),
            Some(Running { process, .. }) if process.leaked() => Some(format!("replica {number} printed a value")),
            Some(Running { process, .. }) => {
                process.has_ended().then(|| format!("replica {number} ended by itself: {}", process.shown()))
            }
        }
    }
}
