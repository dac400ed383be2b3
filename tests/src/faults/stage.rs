//! Where scenes are played: an emulator, so many replicas of the real broker, and a [`Link`] on every way between programs.

mod cards;
mod doors;
mod replica;

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use tempfile::TempDir;

use self::replica::Settings;
pub use self::{
    cards::{NAMESPACE, OBJECTS, STRANGERS, VaultCard, object, reference},
    doors::Doors,
    replica::{Output, Replica},
};
use super::link::{Link, Mood};
use crate::{
    api::{ApiServer, SECRETS, TokenStatus, VAULTS},
    ca::{Issued, TestCa},
    programs::Programs,
    stand::{Files, TRUST_DOMAIN, broker_environment},
    vault::{Emulator, ProjectedToken},
};

/// Shorter than Key Vault's pages: most listings have more than one.
const PAGE: usize = 4;

/// What a stage has.
#[derive(Debug, Default)]
pub struct Building {
    /// How many brokers.
    pub replicas: usize,
    /// The vaults; one for each scene.
    pub vaults: Vec<VaultCard>,
    /// Whether declarations come from an API server, which reviews tokens too.
    pub cluster: bool,
    /// More variables for brokers.
    pub environment: Vec<(&'static str, String)>,
}

/// Running until dropped.
pub struct Stage {
    /// Key Vault and Entra.
    pub emulator: Emulator,
    /// How clients get in.
    pub doors: Doors,
    /// The brokers.
    pub replicas: Vec<Replica>,
    /// The API server, where there is one.
    pub api: Option<ApiServer>,
    vaults: BTreeMap<String, Link>,
    /// From one replica to another.
    between: Vec<((usize, usize), Link)>,
    authority: Mutex<TestCa>,
    /// How often brokers were shown other certificates.
    shown: AtomicU64,
    /// By how many hours the vaults' clock is ahead.
    hours: AtomicI64,
    files: TempDir,
}

impl Stage {
    /// Sets everything up and returns when every broker serves.
    pub async fn open(building: Building) -> anyhow::Result<Self> {
        // The first provider wins; there is no other in this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let programs = tokio::task::spawn_blocking(Programs::build).await??;
        let (emulator, vaults) = world(&building.vaults).await?;
        let (files, authority) = (tempfile::tempdir()?, TestCa::new("Keyward test CA")?);
        let below = Files::below(files.path());
        below.sign_in(&emulator)?;
        swap_certificates(files.path(), 0, &server_certificate(&authority)?)?;
        let urls = vaults.iter().map(|(name, link)| (name.as_str(), url(link))).collect();
        let api = declare(&building, &urls, &below).await?;

        let count = building.replicas.max(1);
        let between = peers(count).await?;
        let mut common = broker_environment(files.path(), "broker-tls", &emulator);
        if api.is_some() {
            common.retain(|name, _| !name.starts_with("KEYWARD_JWKS"));
            common.insert("KEYWARD_SOURCE", "kubernetes".to_owned());
            // Its pods are names alone.
            common.insert("KEYWARD_POD_BINDING", "off".to_owned());
            common.insert("KUBECONFIG", files.path().join("kubeconfig").display().to_string());
        }
        common.extend(cards::broker_settings(count));
        common.extend(building.environment);
        let mut replicas = Vec::new();
        for number in 0..count {
            let mut environment = common.clone();
            environment.extend(peer_settings(number, &between));
            let program = programs.path("keyward-broker")?.to_owned();
            replicas.push(Replica::new(Settings { number, program, environment }).await?);
        }
        let doors = Doors::new(replicas.iter().map(Replica::door).collect(), &authority)?;
        let authority = Mutex::new(authority);
        let (shown, hours) = (AtomicU64::new(0), AtomicI64::new(0));
        let stage = Self { emulator, doors, replicas, api, vaults, between, authority, shown, hours, files };
        for number in 0..count {
            stage.start(number, Output::Kept).await?;
        }
        for replica in &stage.replicas {
            replica.ready().await?;
        }
        Ok(stage)
    }

    /// Starts a replica that does not run, and leads everybody to it.
    pub async fn start(&self, number: usize, output: Output) -> anyhow::Result<()> {
        let address = self.replica(number)?.start(output).await?;
        for (_, link) in self.between.iter().filter(|((_, to), _)| *to == number) {
            link.lead_to(address);
        }
        Ok(())
    }

    /// One of the brokers.
    pub fn replica(&self, number: usize) -> anyhow::Result<&Replica> {
        self.replicas.get(number).with_context(|| format!("there is no replica {number}"))
    }

    /// What becomes of bytes between all brokers and a vault.
    pub fn way_to_vault(&self, vault: &str, mood: Mood) {
        if let Some(link) = self.vaults.get(vault) {
            link.set(mood);
        }
    }

    /// The same of one broker's bytes.
    pub async fn way_to_vault_of(&self, number: usize, vault: &str, mood: Mood) -> anyhow::Result<()> {
        let process = self.replica(number)?.id().await.context("it does not run")?;
        self.vaults.get(vault).context("there is no such vault")?.set_for(process, mood);
        Ok(())
    }

    /// What becomes of bytes between this replica and all others, both ways.
    pub fn way_to_others(&self, number: usize, mood: Mood) {
        let ways = self.between.iter().filter(|((from, to), _)| [from, to].contains(&&number));
        ways.for_each(|(_, link)| link.set(mood));
    }

    /// The header of a pod of the namespace that may read.
    pub fn pod(&self, name: &str) -> anyhow::Result<String> {
        let token = ProjectedToken { pod_uid: Some(format!("uid-{name}")), ..token_of(NAMESPACE, name) };
        let text = self.emulator.projected_token(&token)?;
        if let Some(api) = &self.api {
            api.review(&text, TokenStatus::of_pod(NAMESPACE, "checkout", name, &format!("uid-{name}")));
        }
        Ok(format!("Bearer {text}"))
    }

    /// UID and generation of what a reference names; none where the source has none.
    pub fn identity_of(&self, name: &str) -> (String, i64) {
        let object = self.api.as_ref().and_then(|api| api.get(SECRETS, NAMESPACE, name)).unwrap_or_default();
        let metadata = &object["metadata"];
        let uid = metadata["uid"].as_str().unwrap_or_default().to_owned();
        (uid, metadata["generation"].as_i64().unwrap_or_default())
    }

    /// A new authority beside the old one: everybody is to trust both from now on. Brokers look every other second.
    pub fn publish_authority(&self) -> anyhow::Result<TestCa> {
        let next = TestCa::new("Keyward test CA")?;
        let old = self.authority();
        let both = old.cert_pem() + &next.cert_pem();
        self.doors.trust(&both);
        self.show(&Issued { ca_pem: both, ..server_certificate(&old)? })?;
        Ok(next)
    }

    /// Brokers show certificates of `next` from now on.
    pub fn rotate(&self, next: TestCa) -> anyhow::Result<()> {
        let mut authority = self.authority();
        let both = authority.cert_pem() + &next.cert_pem();
        self.show(&Issued { ca_pem: both, ..server_certificate(&next)? })?;
        self.doors.prove(&next)?;
        *authority = next;
        Ok(())
    }

    /// What became of programs that should be well: nothing, if they are.
    pub async fn complaints(&self) -> Vec<String> {
        let mut found = Vec::new();
        for replica in &self.replicas {
            found.extend(replica.complaint().await);
        }
        found
    }

    /// The vaults' clock goes on by an hour, against everybody else's.
    pub fn an_hour_on(&self) {
        let hours = self.hours.fetch_add(1, Ordering::Relaxed) + 1;
        self.emulator.clock().skew(hours * 3_600);
    }

    fn show(&self, issued: &Issued) -> anyhow::Result<()> {
        let number = self.shown.fetch_add(1, Ordering::Relaxed) + 1;
        swap_certificates(self.files.path(), number, issued)
    }

    fn authority(&self) -> MutexGuard<'_, TestCa> {
        self.authority.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn token_of(namespace: &str, pod: &str) -> ProjectedToken {
    ProjectedToken::for_pod(namespace, "checkout", pod)
}

fn url(link: &Link) -> String {
    format!("https://localhost:{}", link.address().port())
}

/// The emulator, and a link to each of its vaults.
async fn world(vaults: &[VaultCard]) -> anyhow::Result<(Emulator, BTreeMap<String, Link>)> {
    let emulator = Emulator::builder().objects_yaml(&cards::objects(vaults)).page_size(PAGE).start().await?;
    let mut links = BTreeMap::new();
    for VaultCard { name, .. } in vaults {
        let port = url::Url::parse(&emulator.vault_url(name))?.port().context("a vault without a port")?;
        links.insert(name.clone(), Link::to(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?);
    }
    Ok((emulator, links))
}

/// Everything that is declared, in the directory of manifests or at an API server.
async fn declare(
    building: &Building,
    urls: &BTreeMap<&str, String>,
    files: &Files<'_>,
) -> anyhow::Result<Option<ApiServer>> {
    let (vaults, secrets) = cards::manifests(&building.vaults, urls);
    files.directory("manifests")?;
    if !building.cluster {
        files.write("manifests/all.yaml", &(vaults + &secrets))?;
        return Ok(None);
    }
    let api = ApiServer::start().await?;
    api.apply(VAULTS, &vaults);
    api.apply(SECRETS, &secrets);
    files.write("kubeconfig", &api.kubeconfig("keyward"))?;
    Ok(Some(api))
}

/// A link for each ordered pair of replicas; they lead nowhere yet.
async fn peers(count: usize) -> anyhow::Result<Vec<((usize, usize), Link)>> {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let mut between = Vec::new();
    for from in 0..count {
        for to in (0..count).filter(|to| *to != from) {
            between.push(((from, to), Link::to(nowhere).await?));
        }
    }
    Ok(between)
}

fn peer_settings(number: usize, between: &[((usize, usize), Link)]) -> Vec<(&'static str, String)> {
    let others: Vec<String> = between
        .iter()
        .filter(|((from, _), _)| *from == number)
        .map(|(_, link)| format!("localhost:{}", link.address().port()))
        .collect();
    if others.is_empty() {
        return Vec::new();
    }
    vec![("KEYWARD_PEERS", others.join(",")), ("KEYWARD_PEER_NAME", "localhost".to_owned())]
}

fn server_certificate(authority: &TestCa) -> anyhow::Result<Issued> {
    Ok(authority.issue_serving_role("broker", TRUST_DOMAIN, &["127.0.0.1".to_owned()])?)
}

/// Swaps what brokers find in `broker-tls` in one step, as a kubelet does.
fn swap_certificates(root: &Path, number: u64, issued: &Issued) -> anyhow::Result<()> {
    let name = format!("tls-{number}");
    issued.write_dir(&root.join(&name))?;
    let part = root.join("broker-tls.part");
    symlink(&name, &part)?;
    Ok(fs::rename(&part, root.join("broker-tls"))?)
}
