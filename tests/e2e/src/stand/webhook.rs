//! The webhook, as a process on the node behind its Service, and the images that it has pods start.

use std::net::SocketAddr;

use anyhow::Context as _;

use super::{
    NAMESPACE, Service, Stand, WEBHOOK,
    reached::{BROKER_PORT, WEBHOOK_PORT},
    serving_at,
};
use crate::{
    images::REGISTRY,
    wait::{SOON, until_true},
};

/// One that runs.
pub(super) struct Webhook {
    pub(super) service: Service,
    admin: SocketAddr,
}

impl Stand {
    /// Starts the webhook, if none runs, with this image of the launcher, and returns when it is ready.
    pub async fn webhook(&self, launcher: &str) -> anyhow::Result<()> {
        let mut webhook = self.webhook.lock().await;
        if webhook.is_none() {
            *webhook = Some(self.start_webhook(launcher).await?);
        }
        let admin = webhook.as_ref().context("no webhook runs")?.admin;
        let is_ready = async || Ok(reqwest::get(format!("http://{admin}/readyz")).await?.status().is_success());
        until_true("the webhook ready", SOON, is_ready).await
    }

    /// Kills the webhook, if one runs.
    pub async fn kill_webhook(&self) -> anyhow::Result<()> {
        match self.webhook.lock().await.take() {
            Some(webhook) => webhook.service.kill().await,
            None => Ok(()),
        }
    }

    async fn start_webhook(&self, launcher: &str) -> anyhow::Result<Webhook> {
        let root = self.directory.path();
        let environment = [
            ("KUBECONFIG", self.kubeconfig(WEBHOOK).await?.display().to_string()),
            ("KEYWARD_LISTEN", format!("0.0.0.0:{WEBHOOK_PORT}")),
            ("KEYWARD_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("KEYWARD_BROKER", format!("https://keyward-broker.{NAMESPACE}.svc:{BROKER_PORT}")),
            ("KEYWARD_TLS_DIR", root.join("webhook-tls").display().to_string()),
            ("KEYWARD_LAUNCHER_IMAGE", launcher.to_owned()),
            ("KEYWARD_COPIER_CPU", self.copier_cpu.to_owned()),
            ("KEYWARD_PLAIN_HTTP_REGISTRY", REGISTRY.to_owned()),
            ("KEYWARD_REGISTRY_CA_FILE", self.cluster_ca.display().to_string()),
            ("KEYWARD_LOG_FORMAT", "json".to_owned()),
            ("KEYWARD_LOG_LEVEL", self.log_level.to_owned()),
        ];
        let program = self.programs.path("keyward-webhook")?;
        let service = Service::start("keyward-webhook", program, &["serve"], environment.into(), &self.logs)?;
        let admin = service.process().line("where it serves", serving_at).await?;
        Ok(Webhook { service, admin })
    }
}
