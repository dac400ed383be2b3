//! Several replicas of the real broker beside one emulator. Each has an address of its own, which it keeps when it is started
//! again, and can be stopped, killed and paused.

mod asker;

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use keyward_proto::v1::{RefreshRequest, RefreshedVault, StatusRequest, StatusResponse, cache_client::CacheClient};
use tempfile::TempDir;
use tokio::{process::Command, time::sleep};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

pub use self::asker::{Asker, Door};
use crate::{
    ca::TestCa,
    process::{Process, Signal},
    programs::Programs,
    stand::{Files, Plan, TRUST_DOMAIN, broker_environment, serving, with_urls},
    vault::{Emulator, ProjectedToken},
};

/// How often something that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest that anything is waited for. It bounds a hang and is no part of any measurement.
const PATIENCE: Duration = Duration::from_secs(60);

/// The replicas, and what is around them. Dropping it ends everything.
pub struct Fleet {
    /// Key Vault, Entra and the issuer of tokens.
    pub emulator: Emulator,
    /// What signs certificates.
    pub ca: TestCa,
    broker: PathBuf,
    directory: TempDir,
    environment: BTreeMap<String, String>,
    replicas: Vec<Replica>,
}

/// One of them.
struct Replica {
    address: Ipv4Addr,
    environment: BTreeMap<String, String>,
    process: Option<Process>,
}

impl Fleet {
    /// Starts `count` replicas by `plan` and returns when all are ready.
    pub async fn start(plan: Plan, count: usize) -> anyhow::Result<Self> {
        let mut fleet = Self::prepare(plan, count).await?;
        for number in 0..count {
            fleet.launch(number).await?;
        }
        for number in 0..count {
            fleet.until_ready(number).await?;
        }
        fleet.until_all_see(count - 1).await?;
        Ok(fleet)
    }

    /// The same, and none is started yet.
    pub async fn prepare(plan: Plan, count: usize) -> anyhow::Result<Self> {
        // The first provider wins; there is no other in this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let broker = match plan.broker {
            Some(broker) => broker,
            None => Programs::build()?.path("keyward-broker")?.to_owned(),
        };
        let emulator = Emulator::builder().objects_yaml(&plan.objects).start().await?;
        let (directory, ca) = (tempfile::tempdir()?, TestCa::new("Keyward test CA")?);
        let addresses = addresses(count);
        let files = Files::below(directory.path());
        files.prepare(&emulator, &ca, &plan.names, &["operator"])?;
        let names: Vec<String> = addresses.iter().map(ToString::to_string).chain(plan.names.clone()).collect();
        ca.issue_serving_role("broker", TRUST_DOMAIN, &names)?.write_dir(&directory.path().join("broker-tls"))?;
        fs::create_dir(directory.path().join("manifests"))?;
        for (name, text) in &plan.manifests {
            files.write(&format!("manifests/{name}"), &with_urls(text, &emulator))?;
        }
        let own = broker_environment(directory.path(), "broker-tls", &emulator);
        let mut environment: BTreeMap<String, String> =
            own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let peers: Vec<String> = addresses.iter().map(|address| format!("{address}:8443")).collect();
        environment.extend([
            ("KEYWARD_REPLICAS".to_owned(), count.to_string()),
            ("KEYWARD_PEERS".to_owned(), peers.join(",")),
            ("KEYWARD_REQUESTS_PER_POD".to_owned(), "1000000".to_owned()),
            ("KEYWARD_LOG_LEVEL".to_owned(), "info,keyward_broker::peers=debug".to_owned()),
        ]);
        environment.extend(plan.broker_environment);
        let replica = |address| Replica { address, environment: BTreeMap::new(), process: None };
        let replicas = addresses.into_iter().map(replica).collect();
        Ok(Self { emulator, ca, broker, directory, environment, replicas })
    }

    /// Its own folder, where certificates and manifests are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// How many there are, running or not.
    pub fn count(&self) -> usize {
        self.replicas.len()
    }

    /// Variables for one of them from its next start on, instead of those of all.
    pub fn set(&mut self, number: usize, name: &str, value: &str) {
        self.replicas[number].environment.insert(name.to_owned(), value.to_owned());
    }

    /// Starts one that does not run, and returns when it listens.
    pub async fn launch(&mut self, number: usize) -> anyhow::Result<()> {
        let replica = &mut self.replicas[number];
        ensure!(replica.process.is_none(), "replica {number} runs already");
        let mut command = Command::new(&self.broker);
        command.arg("serve").env_clear().envs(&self.environment);
        command.env("KEYWARD_LISTEN", format!("{}:8443", replica.address));
        command.env("KEYWARD_ADMIN_LISTEN", format!("{}:8080", replica.address));
        command.envs(&replica.environment).stdin(Stdio::null());
        let process = Process::spawn(&format!("keyward-broker {number}"), &mut command)?;
        serving(&process).await?;
        replica.process = Some(process);
        Ok(())
    }

    /// Asks one to end, and returns when it has.
    pub async fn stop(&mut self, number: usize) -> anyhow::Result<()> {
        let process = self.replicas[number].process.take().context("it does not run")?;
        let finished = process.stop().await?;
        ensure!(finished.status.success(), "replica {number} ended with {}", finished.status);
        Ok(())
    }

    /// Ends one at once.
    pub async fn kill(&mut self, number: usize) -> anyhow::Result<()> {
        let mut process = self.replicas[number].process.take().context("it does not run")?;
        process.signal(Signal::KILL)?;
        process.ended().await?;
        Ok(())
    }

    /// Sends a signal to one.
    pub fn signal(&self, number: usize, signal: Signal) -> anyhow::Result<()> {
        Ok(self.process(number)?.signal(signal)?)
    }

    /// A running one's process.
    pub fn process(&self, number: usize) -> anyhow::Result<&Process> {
        self.replicas[number].process.as_ref().context("it does not run")
    }

    /// Replaces or adds a manifest; `https://NAME.emulated` as in [`Plan::manifests`].
    pub fn write_manifest(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let files = Files::below(self.directory.path());
        Ok(files.write(&format!("manifests/{name}"), &with_urls(text, &self.emulator))?)
    }

    /// Returns when one says that it is ready.
    pub async fn until_ready(&self, number: usize) -> anyhow::Result<()> {
        let url = format!("http://{}:8080/readyz", self.replicas[number].address);
        until(&format!("replica {number} to be ready"), async || {
            Ok(reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()))
        })
        .await
    }

    /// Returns when every running one sees so many others serve.
    pub async fn until_all_see(&self, others: usize) -> anyhow::Result<()> {
        let running: Vec<usize> = (0..self.count()).filter(|number| self.replicas[*number].process.is_some()).collect();
        until(&format!("all to see {others} others"), async || {
            for number in &running {
                if self.others(*number).await? != others {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    /// How many others one sees serve.
    pub async fn others(&self, number: usize) -> anyhow::Result<usize> {
        let replicas = self.status(number).await?.replicas;
        Ok(replicas.iter().filter(|replica| !replica.own && replica.state == "serving").count())
    }

    /// Which replica owns a vault, as this one sees it.
    pub async fn owner(&self, asked: usize, vault: &str) -> anyhow::Result<usize> {
        let status = self.status(asked).await?;
        let vault = status.vaults.iter().find(|one| one.name == vault).context("no such vault")?;
        for number in 0..self.count() {
            if self.replicas[number].process.is_some() && self.id(number).await? == vault.owner {
                return Ok(number);
            }
        }
        anyhow::bail!("{} is nobody who answers", vault.owner)
    }

    async fn id(&self, number: usize) -> anyhow::Result<String> {
        let replicas = self.status(number).await?.replicas;
        replicas.into_iter().find(|replica| replica.own).map(|own| own.id).context("a status without its replica")
    }

    /// What one knows and holds.
    pub async fn status(&self, number: usize) -> anyhow::Result<StatusResponse> {
        let mut cache = CacheClient::new(self.channel(number, Some("operator")).await?);
        Ok(cache.status(StatusRequest::default()).await?.into_inner())
    }

    /// Has every vault compared now, asked of one.
    pub async fn refresh(&self, number: usize) -> anyhow::Result<Vec<RefreshedVault>> {
        let mut cache = CacheClient::new(self.channel(number, Some("operator")).await?);
        Ok(cache.refresh(RefreshRequest::default()).await?.into_inner().vaults)
    }

    /// The first sample of this series with such a label; nothing where there is none.
    pub async fn metric(&self, number: usize, series: &str, label: &str) -> anyhow::Result<Option<f64>> {
        let url = format!("http://{}:8080/metrics", self.replicas[number].address);
        let text = reqwest::get(url).await?.text().await?;
        let of_series = |line: &&str| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let sample = text.lines().filter(of_series).find(|line| line.contains(label));
        Ok(sample.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.parse()).transpose()?)
    }

    /// Where one serves gRPC.
    pub fn grpc(&self, number: usize) -> SocketAddr {
        SocketAddr::from((self.replicas[number].address, 8443))
    }

    /// One, as somebody with a role's certificate, or without any, reaches it.
    pub fn endpoint(&self, number: usize, role: Option<&str>) -> anyhow::Result<Endpoint> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.ca.cert_pem()));
        if let Some(role) = role {
            let issued = self.ca.issue_role(role, TRUST_DOMAIN)?;
            tls = tls.identity(Identity::from_pem(issued.cert_pem, issued.key_pem));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.grpc(number)))?;
        Ok(endpoint.tls_config(tls)?.connect_timeout(Duration::from_secs(5)))
    }

    /// A connection to one.
    pub async fn channel(&self, number: usize, role: Option<&str>) -> anyhow::Result<Channel> {
        Ok(self.endpoint(number, role)?.connect().await?)
    }

    /// The way to one for a pod, which stays while replicas come and go.
    pub fn door(&self, number: usize, pod: &str) -> anyhow::Result<Door> {
        Ok(Door::new(self.endpoint(number, None)?, self.token(pod)?))
    }

    /// Somebody with a pod's token who asks one of them.
    pub async fn asker(&self, number: usize, pod: &str) -> anyhow::Result<Asker> {
        self.door(number, pod)?.enter().await
    }

    /// The token of a pod of `shop`.
    pub fn token(&self, pod: &str) -> anyhow::Result<String> {
        Ok(self.emulator.projected_token(&ProjectedToken::for_pod("shop", "checkout", pod))?)
    }
}

/// Returns when `reached` says so, or fails after a minute.
pub async fn until(what: &str, mut reached: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let began = tokio::time::Instant::now();
    loop {
        let last = reached().await;
        if matches!(last, Ok(true)) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "waited in vain for {what}: {last:?}");
        sleep(LOOK_EVERY).await;
    }
}

/// Addresses of this machine that nobody else uses: its own network is large enough for every test of every process.
fn addresses(count: usize) -> Vec<Ipv4Addr> {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let next = || NEXT.fetch_add(1, Ordering::Relaxed);
    // Never 127.0.0.x, which everybody uses.
    (0..count).map(|_| Ipv4Addr::new(127, high.max(1), low, next())).collect()
}
