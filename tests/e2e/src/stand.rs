//! What all tests share, set up when the first of them asks: the emulator in this process, the charts installed by helm,
//! and the broker, two controllers and the webhook as processes with the rights of their own service accounts.

mod account;
mod broker;
mod charts;
mod controllers;
mod declarations;
mod reached;
mod service;
mod webhook;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use keyward_tests::{
    ca::TestCa,
    programs::Programs,
    stand::{Files, TRUST_DOMAIN},
    vault::{Emulator, Store},
};
use kube::Client;
use tempfile::TempDir;
use tokio::sync::Mutex;

pub(crate) use self::service::no_value_below;
pub use self::{
    account::{Account, BROKER, CONTROLLER, NAMESPACE, WEBHOOK},
    charts::PULL_SECRET,
    controllers::metrics_of,
    declarations::{LOAD_VAULTS, admits},
    service::Service,
};
use self::{broker::Broker, webhook::Webhook};
use crate::{cluster::Cluster, manifests::Kinds};

/// Controllers that run at a time.
pub const CONTROLLERS: usize = 2;

/// The stand. Its processes start when they are first asked for.
pub struct Stand {
    /// Key Vault and Entra.
    pub emulator: Emulator,
    /// What signs the broker's certificate and the roles.
    pub ca: TestCa,
    client: Client,
    programs: Programs,
    log_level: &'static str,
    copier_cpu: &'static str,
    directory: TempDir,
    logs: PathBuf,
    /// What signed the certificate of the registry.
    cluster_ca: PathBuf,
    /// Where the node keeps what pods print.
    pod_logs: PathBuf,
    broker: Mutex<Option<Broker>>,
    controllers: Mutex<[Option<Service>; CONTROLLERS]>,
    webhook: Mutex<Option<Webhook>>,
}

/// The workspace's programs, and how much they are to say.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where they are.
    pub programs: Programs,
    /// `--log-level`: what is measured must not be measured writing logs that nobody would have it write.
    pub log_level: &'static str,
    /// `--copier-cpu`: what is measured is measured as shipped; fifty pods must fit on a node of two processors.
    pub copier_cpu: &'static str,
}

impl Stand {
    /// Emulator, charts and what is behind their Services; no process yet.
    pub async fn start(
        client: &Client,
        kinds: &Kinds,
        cluster: &Cluster,
        logs: &Path,
        built: &Built,
    ) -> anyhow::Result<Self> {
        let emulator = Emulator::builder().objects_yaml(&declarations::objects()).start().await?;
        let directory = tempfile::tempdir()?;
        let ca = TestCa::new("Keyward e2e CA")?;
        let names = reached::names("keyward-broker");
        Files::below(directory.path()).prepare(&emulator, &ca, &names, &["controller", "operator"])?;
        let names = reached::names("keyward-webhook");
        ca.issue_serving_role("webhook", TRUST_DOMAIN, &names)?.write_dir(&directory.path().join("webhook-tls"))?;
        charts::install(&ca).await?;
        reached::apply(client, kinds).await?;
        declarations::apply(client, kinds, &emulator).await?;
        Ok(Self {
            emulator,
            ca,
            client: client.clone(),
            programs: built.programs.clone(),
            log_level: built.log_level,
            copier_cpu: built.copier_cpu,
            directory,
            logs: logs.to_owned(),
            cluster_ca: cluster.state().join("pki/ca.crt"),
            pod_logs: cluster.state().join("log/pods-and-containers"),
            broker: Mutex::default(),
            controllers: Mutex::default(),
            webhook: Mutex::default(),
        })
    }

    /// A vault's objects.
    pub fn vault(&self, name: &str) -> anyhow::Result<Store> {
        self.emulator.store(name).with_context(|| format!("there is no vault {name}"))
    }

    /// How often a vault was asked for an object so far.
    pub fn vault_calls(&self, vault: &str, object: &str) -> u64 {
        self.emulator.calls().matching(|call| call.vault == vault && call.object.eq_ignore_ascii_case(object))
    }

    /// A kubeconfig of the account; made once, so that it is there without the API server too.
    async fn kubeconfig(&self, account: Account) -> anyhow::Result<PathBuf> {
        let file = account.file(self.directory.path());
        if !file.exists() {
            account.write_kubeconfig(&self.client, self.directory.path()).await?;
        }
        Ok(file)
    }

    /// An error where a process or a pod has printed a value or a token.
    pub async fn no_value_was_printed(&self) -> anyhow::Result<()> {
        let (broker, webhook) = (self.broker.lock().await, self.webhook.lock().await);
        let controllers = self.controllers.lock().await;
        let running = broker.iter().map(|broker| &broker.service).chain(controllers.iter().flatten());
        for service in running.chain(webhook.iter().map(|webhook| &webhook.service)) {
            ensure!(!service.process().leaked(), "{} printed a value", service.name());
        }
        no_value_below(&self.pod_logs)
    }

    /// Ends all processes, controllers and webhook first, and writes down what they printed.
    pub async fn end(&self) -> anyhow::Result<()> {
        let controllers = self.stop_controllers().await;
        let webhook = match self.webhook.lock().await.take() {
            Some(webhook) => webhook.service.stop().await,
            None => Ok(()),
        };
        if let Some(broker) = self.broker.lock().await.take() {
            broker.service.stop().await?;
        }
        controllers.and(webhook)
    }
}

/// The address of the admin port, from the line that tells it.
fn serving_at(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| line[name].as_str().or_else(|| line["fields"][name].as_str());
    text("message").filter(|message| *message == "serving")?;
    text("admin")?.parse().ok()
}
