//! Everything around the webhook: a broker with a vault, an API server, and a registry; and the webhook's own process.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    api::ApiServer,
    bench::{broker::Broker, child::Server, echo::Payload},
    ca::{TestCa, params_for},
    registry::{Auth, FakeImage, FakeRegistry, Kind},
    stand::TRUST_DOMAIN,
};

/// References of each pod, and the bytes of their values, which nobody asks for here.
const SECRETS: Payload = Payload { values: 3, bytes: 32 };

/// Of pods that say what they run: nobody looks it up.
pub const IMAGE: &str = "registry.shop.example/checkout:1.42.0";

/// What is there beside the webhook. Dropping it ends everything.
pub struct Stand {
    /// The broker, whose manifests have the pods' secrets.
    pub broker: Broker,
    api: ApiServer,
    registry: FakeRegistry,
    files: TempDir,
}

impl Stand {
    /// With so many images in the registry, each with another command.
    pub async fn start(broker: &Path, images: usize) -> anyhow::Result<Self> {
        let broker = Broker::start(broker, SECRETS).await?;
        let (api, registry) = (ApiServer::start().await?, FakeRegistry::start(None, Auth::Open).await?);
        for number in 0..images {
            let command = ["serve", "--config", "/etc/checkout/config.yaml", "--number", &number.to_string()];
            let image = FakeImage::new(&["/usr/local/bin/checkout"], &command);
            let environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"];
            registry.push(&repository(number), TAG, &image.env(&environment));
        }
        let files = tempfile::tempdir()?;
        serving_role(broker.ca())?.write_dir(&files.path().join("tls"))?;
        let kubeconfig = files.path().join("kubeconfig");
        fs::write(&kubeconfig, api.kubeconfig("keyward")).context("cannot write kubeconfig")?;
        Ok(Self { broker, api, registry, files })
    }

    /// A webhook that serves.
    pub async fn webhook(&self, program: &Path) -> anyhow::Result<Server> {
        let mut command = Command::new(program);
        command.arg("serve").env_clear().envs([
            ("KUBECONFIG", self.files.path().join("kubeconfig").display().to_string()),
            ("KEYWARD_LISTEN", "127.0.0.1:0".to_owned()),
            ("KEYWARD_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("KEYWARD_LOG_FORMAT", "json".to_owned()),
            ("KEYWARD_TLS_DIR", self.webhook_tls_dir().display().to_string()),
            ("KEYWARD_BROKER", format!("https://127.0.0.1:{}", self.broker.server.address().port())),
            ("KEYWARD_LAUNCHER_IMAGE", "registry.example/keyward-launcher:1".to_owned()),
            ("KEYWARD_PLAIN_HTTP_REGISTRY", self.registry.host()),
        ]);
        Server::start_saying("server", "keyward-webhook", &mut command).await
    }

    /// The webhook's certificate, which the other server has too.
    pub fn webhook_tls_dir(&self) -> PathBuf {
        self.files.path().join("tls")
    }

    /// The name of an image in the registry.
    pub fn image(&self, number: usize) -> String {
        format!("{}/{}:{TAG}", self.registry.host(), repository(number))
    }

    /// What the registry and the API server were asked.
    pub fn asked(&self) -> BTreeMap<&'static str, u64> {
        let kinds = [("HEAD manifest", Kind::Head), ("GET manifest", Kind::Manifest), ("GET blob", Kind::Blob)];
        let of_kinds = kinds.map(|(name, kind)| (name, self.registry.count(kind)));
        let known: u64 = of_kinds.iter().map(|(_, count)| count).sum();
        let more = [("other", self.registry.total() - known), ("API server", self.api.requests().len() as u64)];
        of_kinds.into_iter().chain(more).collect()
    }
}

const TAG: &str = "1.42.0";

fn repository(number: usize) -> String {
    format!("shop/checkout-{number}")
}

/// One certificate to serve with and to ask the broker with.
fn serving_role(ca: &TestCa) -> anyhow::Result<crate::ca::Issued> {
    let mut params = params_for("keyward-webhook")?;
    let names = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params.subject_alt_names = names.subject_alt_names;
    params.subject_alt_names.push(SanType::URI(format!("spiffe://{TRUST_DOMAIN}/keyward/webhook").try_into()?));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(ca.issue(&params)?)
}
