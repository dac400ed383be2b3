//! Keyward's service accounts: a kubeconfig for each, so that a process outside of any pod has exactly its rights.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use crate::tokens;

/// Where Keyward is installed.
pub const NAMESPACE: &str = "keyward";

/// The broker's.
pub const BROKER: Account = Account { name: "keyward-broker" };

/// The controller's.
pub const CONTROLLER: Account = Account { name: "keyward-controller" };

/// The webhook's.
pub const WEBHOOK: Account = Account { name: "keyward-webhook" };

/// A service account of [`NAMESPACE`].
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Its name.
    pub name: &'static str,
}

impl Account {
    /// Its kubeconfig in a directory.
    pub fn file(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.kubeconfig", self.name))
    }

    /// Writes a kubeconfig with a new token of it into `directory`; the token has a file of its own, as in a pod.
    pub async fn write_kubeconfig(self, client: &Client, directory: &Path) -> anyhow::Result<()> {
        let token_file = directory.join(format!("{}.token", self.name));
        let token = tokens::request(client, NAMESPACE, self.name, &[tokens::API_SERVER], None).await?;
        fs::write(&token_file, token).with_context(|| token_file.display().to_string())?;
        let cluster = current_cluster()?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "keyward",
            "contexts": [{"name": "keyward", "context": {"cluster": "keyward", "user": self.name, "namespace": NAMESPACE}}],
            "clusters": [{"name": "keyward", "cluster": cluster}],
            "users": [{"name": self.name, "user": {"tokenFile": token_file}}],
        });
        let file = self.file(directory);
        fs::write(&file, config.to_string()).with_context(|| file.display().to_string())
    }

    /// A client with its rights.
    pub async fn client(self, administrator: &Client) -> anyhow::Result<Client> {
        let directory = tempfile::tempdir()?;
        self.write_kubeconfig(administrator, directory.path()).await?;
        let kubeconfig = Kubeconfig::read_from(self.file(directory.path()))?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        // The file goes away with its directory.
        let token = fs::read_to_string(directory.path().join(format!("{}.token", self.name)))?;
        config.auth_info.token_file = None;
        config.auth_info.token = Some(token.into());
        Ok(Client::try_from(config)?)
    }
}

/// The cluster's entry in the administrator's kubeconfig.
fn current_cluster() -> anyhow::Result<serde_json::Value> {
    let own = Kubeconfig::from_env()?.context("KUBECONFIG is not set")?;
    let cluster =
        own.clusters.into_iter().next().and_then(|named| named.cluster).context("a kubeconfig without cluster")?;
    Ok(serde_json::to_value(cluster)?)
}
