//! Keyward's charts, without the pods: the stand's processes stand for them, with certificates of its own.

use std::fs;

use anyhow::Context as _;
use keyward_tests::ca::TestCa;
use serde_json::json;

use super::account::NAMESPACE;
use crate::{helm::helm, images::REGISTRY};

/// The pull secrets that the webhook may read.
pub const PULL_SECRET: &str = "pull";

/// Installs the custom resources, and then who may do what.
pub(super) async fn install(ca: &TestCa) -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let values = json!({
        "images": {"registry": REGISTRY},
        "certificates": {"provider": "external"},
        "networkPolicy": {"enabled": false},
        "broker": {"replicas": 0},
        "controller": {"replicas": 0},
        "webhook": {"replicas": 0, "caBundle": ca.cert_pem(), "pullSecrets": {"names": [PULL_SECRET]}},
    });
    fs::write(file.path(), values.to_string())?;
    let values = file.path().to_str().context("a file's name")?;
    for (chart, more) in [("keyward-crds", [].as_slice()), ("keyward", &["--values", values])] {
        let folder = format!("charts/{chart}");
        let install = ["upgrade", "--install", chart, &folder, "--namespace", NAMESPACE, "--create-namespace"];
        helm(&[&install, ["--wait", "--timeout", "60s"].as_slice(), more].concat()).await?;
    }
    Ok(())
}
