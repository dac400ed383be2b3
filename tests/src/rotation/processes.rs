//! The real programs, told where the stand is.

use std::{net::SocketAddr, path::Path};

use serde_json::Value;
use tokio::process::Command;

use super::scene::{BROKER_NAME, CONFIGURATION, NAMESPACE, TLS_SECRETS, WEBHOOK_NAME};
use crate::{
    process::Process,
    programs::Programs,
    stand::{TRUST_DOMAIN, broker_environment, serving},
    vault::Emulator,
};

/// As the controller's flags have it.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// `--ca-lifetime`
    pub authority: &'static str,
    /// `--leaf-lifetime`
    pub leaf: &'static str,
    /// `--ca-overlap`
    pub overlap: &'static str,
}

/// A server's addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) server: SocketAddr,
    pub(super) admin: SocketAddr,
}

/// The broker's, as clients write it.
pub(super) fn url(broker: SocketAddr) -> String {
    format!("https://{BROKER_NAME}:{}", broker.port())
}

pub(super) async fn broker(
    programs: &Programs,
    root: &Path,
    emulator: &Emulator,
) -> anyhow::Result<(Process, Addresses)> {
    let mut command = Command::new(programs.path("keyward-broker")?);
    command.arg("serve").env_clear().envs(broker_environment(root, TLS_SECRETS[0], emulator));
    // One pod, or one webhook, stands for thousands here.
    command.env("KEYWARD_REQUESTS_PER_POD", "1000000").env("KEYWARD_REQUESTS_PER_ROLE", "1000000");
    let process = Process::spawn("keyward-broker", &mut command)?;
    let (server, admin) = serving(&process).await?;
    Ok((process, Addresses { server, admin }))
}

pub(super) async fn webhook(
    programs: &Programs,
    root: &Path,
    broker: SocketAddr,
) -> anyhow::Result<(Process, Addresses)> {
    let path = |name: &str| root.join(name).display().to_string();
    let mut command = Command::new(programs.path("keyward-webhook")?);
    command.arg("serve").env_clear().envs([
        ("KUBECONFIG", path("kubeconfig").as_str()),
        ("KEYWARD_TLS_DIR", &path(TLS_SECRETS[1])),
        ("KEYWARD_LISTEN", "127.0.0.1:0"),
        ("KEYWARD_ADMIN_LISTEN", "127.0.0.1:0"),
        ("KEYWARD_LOG_FORMAT", "json"),
        ("KEYWARD_BROKER", &url(broker)),
        ("KEYWARD_LAUNCHER_IMAGE", "registry.example/keyward-launcher:1"),
    ]);
    let process = Process::spawn("keyward-webhook", &mut command)?;
    let said = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let address = |field: &str| line[field].as_str()?.parse().ok();
        Some(Addresses { server: address("server")?, admin: address("admin")? })
    };
    let addresses = process.line("where it serves", said).await?;
    Ok((process, addresses))
}

/// One that issues certificates, known to others as `identity`.
pub(super) fn controller(
    programs: &Programs,
    root: &Path,
    broker: SocketAddr,
    identity: &str,
    lifetimes: Lifetimes,
) -> anyhow::Result<Process> {
    let mut command = Command::new(programs.path("keyward-controller")?);
    command.arg("serve").env_clear().envs([
        ("KUBECONFIG", root.join("kubeconfig").display().to_string().as_str()),
        ("KEYWARD_ADMIN_LISTEN", "127.0.0.1:0"),
        ("KEYWARD_LOG_FORMAT", "json"),
        ("KEYWARD_BROKER", &url(broker)),
        ("KEYWARD_LEASE_NAMESPACE", NAMESPACE),
        ("KEYWARD_LEASE_DURATION", "6s"),
        ("KEYWARD_IDENTITY", identity),
        ("KEYWARD_ISSUE_CERTIFICATES", "true"),
        ("KEYWARD_BROKER_DNS_NAME", BROKER_NAME),
        ("KEYWARD_WEBHOOK_DNS_NAME", WEBHOOK_NAME),
        ("KEYWARD_WEBHOOK_CONFIGURATION", CONFIGURATION),
        ("KEYWARD_TRUST_DOMAIN", TRUST_DOMAIN),
        ("KEYWARD_CA_LIFETIME", lifetimes.authority),
        ("KEYWARD_LEAF_LIFETIME", lifetimes.leaf),
        ("KEYWARD_CA_OVERLAP", lifetimes.overlap),
    ]);
    Ok(Process::spawn("keyward-controller", &mut command)?)
}

/// What an admin port says.
pub(super) async fn told(admin: SocketAddr, path: &str) -> anyhow::Result<String> {
    Ok(reqwest::get(format!("http://{admin}/{path}")).await?.text().await?)
}

/// Each time that a controller lost the broker it had heard, and why; a certificate of its own that is replaced is no reason.
pub(super) fn unheard(printed: &str) -> Vec<String> {
    let mut heard = false;
    let mut lost = Vec::new();
    for line in printed.lines() {
        heard |= line.contains("the broker is heard");
        if heard && line.contains("the broker is not heard") && !line.contains("were replaced") {
            lost.push(line.to_owned());
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_loses_the_broker_it_heard_is_told_of() {
        let lines = [
            "the broker is not heard: no certificates yet",
            "the broker is heard",
            "the broker is not heard: the certificates were replaced",
            "the broker is not heard: unknown issuer",
        ];
        assert_eq!(unheard(&lines.join("\n")), [lines[3]]);
    }
}
