//! Who trusts which certificate authority: the Secret that holds it, and everybody whom the controller tells of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::{
    admissionregistration::v1::MutatingWebhookConfiguration,
    core::v1::{ConfigMap, Secret},
};
use kube::{Api, Client, ResourceExt as _, api::ListParams};

use crate::stand::NAMESPACE;

/// The Secret and the `ConfigMap`s.
pub const NAME: &str = "keyward-ca";

/// The Secrets of those who serve.
pub const LEAVES: [&str; 2] = ["keyward-broker-tls", "keyward-webhook-tls"];

/// The webhook's configuration.
pub const CONFIGURATION: &str = "keyward-webhook";

/// The Secret's data, of which nothing is shown.
pub struct Authority(BTreeMap<String, Vec<u8>>);

impl Authority {
    /// As it is now.
    pub async fn read(client: &Client) -> anyhow::Result<Self> {
        Self::read_opt(client).await?.with_context(|| format!("there is no Secret {NAME}"))
    }

    /// The same, if there is one.
    pub async fn read_opt(client: &Client) -> anyhow::Result<Option<Self>> {
        Ok(data(client, NAME).await?.map(Self))
    }

    /// The certificate that signs, in PEM.
    pub fn active(&self) -> anyhow::Result<String> {
        Ok(std::str::from_utf8(self.0.get("active.crt").context("no active.crt")?)?.trim().to_owned())
    }

    /// Whether there is no other, neither one to come nor one that was.
    pub fn is_alone(&self) -> bool {
        self.0.keys().eq(["active.crt", "active.key"])
    }

    /// Which keys it has.
    pub fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// Whether certificate and key are those of another.
    pub fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// A Secret's data in the release's namespace, if it is there.
pub async fn data(client: &Client, name: &str) -> anyhow::Result<Option<BTreeMap<String, Vec<u8>>>> {
    let secret = Api::<Secret>::namespaced(client.clone(), NAMESPACE).get_opt(name).await?;
    let data = |secret: Secret| secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
    Ok(secret.map(|secret| data(secret).collect()))
}

/// What everybody trusts, by who: PEM.
pub async fn trusted(client: &Client) -> anyhow::Result<BTreeMap<String, String>> {
    let mut trusted = BTreeMap::new();
    for leaf in LEAVES {
        let data = data(client, leaf).await?.with_context(|| format!("there is no Secret {leaf}"))?;
        let bundle = data.get("ca.crt").with_context(|| format!("Secret {leaf} without ca.crt"))?;
        trusted.insert(format!("Secret {leaf}"), std::str::from_utf8(bundle)?.to_owned());
    }
    let published = ListParams::default().fields(&format!("metadata.name={NAME}"));
    for map in Api::<ConfigMap>::all(client.clone()).list(&published).await? {
        let namespace = map.namespace().unwrap_or_default();
        let bundle = map.data.unwrap_or_default().remove("ca.crt").unwrap_or_default();
        trusted.insert(format!("ConfigMap of {namespace}"), bundle);
    }
    let configuration = Api::<MutatingWebhookConfiguration>::all(client.clone()).get(CONFIGURATION).await?;
    for webhook in configuration.webhooks.unwrap_or_default() {
        let bundle = webhook.client_config.ca_bundle.unwrap_or_default().0;
        trusted.insert(format!("API server for {}", webhook.name), String::from_utf8(bundle)?);
    }
    Ok(trusted)
}

/// An error unless all of them trust this certificate and no other.
pub fn only(certificate: &str, trusted: &BTreeMap<String, String>) -> anyhow::Result<()> {
    ensure!(trusted.len() > LEAVES.len() + 1, "only {:?} trust anybody", trusted.keys());
    for (who, bundle) in trusted {
        let count = bundle.matches("BEGIN CERTIFICATE").count();
        ensure!(count == 1, "{who} trusts {count} authorities");
        ensure!(bundle.contains(certificate), "{who} trusts another authority");
    }
    Ok(())
}

/// An error unless those who serve show certificates of `new` and not of `old`.
pub async fn is_shown(new: &str, old: &str) -> anyhow::Result<()> {
    for server in ["https://keyward-broker.keyward.svc:8443/", "https://keyward-webhook.keyward.svc/pods"] {
        ensure!(believes(new, server).await?, "{server} shows no certificate of the new authority");
        ensure!(!believes(old, server).await?, "{server} shows a certificate of the old authority");
    }
    Ok(())
}

/// Whether somebody who trusts this authority alone gets an answer, whatever it says.
async fn believes(certificate: &str, server: &str) -> anyhow::Result<bool> {
    let certificate = reqwest::Certificate::from_pem(certificate.as_bytes())?;
    let client = reqwest::Client::builder().tls_certs_only([certificate]).build()?;
    Ok(client.get(server).send().await.is_ok())
}
