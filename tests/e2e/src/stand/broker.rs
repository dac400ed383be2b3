//! The broker, as a process that pods reach too: it serves on the node, behind its Service.

use std::net::SocketAddr;

use anyhow::Context as _;
use keyward_tests::stand::broker_environment;

use super::{BROKER, Service, Stand, reached::BROKER_PORT};
use crate::{
    callers::Callers,
    wait::{SOON, until_true},
};

/// One that runs.
pub(super) struct Broker {
    pub(super) service: Service,
    admin: SocketAddr,
}

impl Stand {
    /// The broker's clients. It is started, and ready, if it was not.
    pub async fn broker(&self) -> anyhow::Result<Callers> {
        self.launch_broker().await?;
        until_true("the broker ready", SOON, async || self.broker_is_ready().await).await?;
        self.callers()
    }

    /// Starts the broker, if none runs, and does not wait until it is ready.
    pub async fn launch_broker(&self) -> anyhow::Result<()> {
        let mut broker = self.broker.lock().await;
        if broker.is_none() {
            *broker = Some(self.start_broker().await?);
        }
        Ok(())
    }

    /// Whether the broker says that it is ready.
    pub async fn broker_is_ready(&self) -> anyhow::Result<bool> {
        let url = format!("http://{}/readyz", self.broker_admin().await?);
        Ok(reqwest::get(url).await?.status().is_success())
    }

    /// The broker's clients, whether or not it runs.
    pub fn callers(&self) -> anyhow::Result<Callers> {
        Callers::new(&broker_url(), &self.ca)
    }

    /// Where the broker's admin port is; it runs.
    pub async fn broker_admin(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.broker.lock().await.as_ref().context("no broker runs")?.admin)
    }

    /// How often the broker that runs has compared what it holds with a vault, to the end.
    pub async fn polls(&self, vault: &str) -> anyhow::Result<u64> {
        let metrics = reqwest::get(format!("http://{}/metrics", self.broker_admin().await?)).await?.text().await?;
        let of_vault = format!("vault=\"{}\"", self.emulator.vault_url(vault));
        let is_it = |line: &&str| {
            line.starts_with("keyward_vault_polls_total{")
                && line.contains(&of_vault)
                && line.contains("outcome=\"ok\"")
        };
        let count = metrics.lines().find(is_it).and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, written as a float")]
        Ok(count.map_or(0, |count| count as u64))
    }

    /// What the broker that runs has printed.
    pub async fn broker_printed(&self) -> anyhow::Result<String> {
        Ok(self.broker.lock().await.as_ref().context("no broker runs")?.service.printed())
    }

    /// Has the broker compare all it holds with its vaults, as an operator with a certificate.
    pub async fn refresh_as_operator(&self) -> anyhow::Result<()> {
        let refreshed = self.broker().await?.refresh_by_certificate().await?;
        for vault in refreshed.vaults {
            anyhow::ensure!(vault.error.is_empty(), "{}: {}", vault.vault, vault.error);
        }
        Ok(())
    }

    /// Kills the broker, if one runs. The next one that is asked for is a new process at the same address.
    pub async fn kill_broker(&self) -> anyhow::Result<()> {
        match self.broker.lock().await.take() {
            Some(broker) => broker.service.kill().await,
            None => Ok(()),
        }
    }

    async fn start_broker(&self) -> anyhow::Result<Broker> {
        let kubeconfig = self.kubeconfig(BROKER).await?;
        let mut environment = broker_environment(self.directory.path(), "broker-tls", &self.emulator);
        for of_directories in ["KEYWARD_JWKS_ISSUER", "KEYWARD_JWKS_CA_FILE"] {
            environment.remove(of_directories);
        }
        environment.insert("KEYWARD_LISTEN", format!("0.0.0.0:{BROKER_PORT}"));
        environment.insert("KEYWARD_SOURCE", "kubernetes".to_owned());
        environment.insert("KEYWARD_AUTHN", "token-review".to_owned());
        environment.insert("KEYWARD_LOG_LEVEL", self.log_level.to_owned());
        environment.insert("KUBECONFIG", kubeconfig.display().to_string());
        let program = self.programs.path("keyward-broker")?;
        let service = Service::start("keyward-broker", program, &["serve"], environment, &self.logs)?;
        let (_, admin) = keyward_tests::stand::serving(service.process()).await?;
        Ok(Broker { service, admin })
    }
}

/// The broker as processes of this node reach it.
pub(super) fn broker_url() -> String {
    format!("https://localhost:{BROKER_PORT}")
}
