//! Everything: an API server that plays a part, a kubelet, and the real broker, webhook and controllers as processes. The
//! broker and the webhook begin without certificates, as pods of a first installation do.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::{
    kubelet::{Delays, Kubelet, Volume},
    launches::Launcher,
    load::Load,
    report::Report,
    resolves::Pod,
    reviews::Reviewer,
    served::{Served, Server},
    until,
};
use crate::{
    admission::reviews::Reviews,
    api::{ApiServer, Resource},
    process::{MARKER, Process, Signal},
    programs::Programs,
    stand::{CLIENT, Files, TRUST_DOMAIN, broker_environment, serving},
    vault::{Emulator, ProjectedToken},
};

/// The release's namespace.
pub const NAMESPACE: &str = "keyward";
/// A namespace whose pods are injected into.
pub const INJECTED: &str = "shop";
/// The name by which the broker is called.
pub const BROKER_NAME: &str = "localhost";
/// The name by which the API server calls the webhook.
pub const WEBHOOK_NAME: &str = "keyward-webhook.keyward.svc";
/// The authority's Secret, and the `ConfigMap`s of what is trusted.
pub const AUTHORITY: &str = "keyward-ca";
/// The Secrets of servers' certificates.
pub const TLS_SECRETS: [&str; 2] = ["keyward-broker-tls", "keyward-webhook-tls"];
const CONFIGURATION: &str = "keyward-webhook";

/// References of a request: as many as a review has.
pub(super) const SECRETS: usize = 3;

/// The longest that anything is waited for which is not a rotation.
pub const PATIENCE: Duration = Duration::from_secs(40);

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

/// What the authority's Secret holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// One authority.
    Settled,
    /// The next one beside it.
    Prepared,
    /// The last one beside it.
    Retiring,
}

/// A server's addresses.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    server: SocketAddr,
    admin: SocketAddr,
}

/// Running until dropped.
pub struct Stand {
    /// The API server.
    pub api: Arc<ApiServer>,
    emulator: Emulator,
    kubelet: Kubelet,
    broker: (Process, Addresses),
    webhook: (Process, Addresses),
    controllers: BTreeMap<&'static str, Process>,
    /// What controllers that have ended said.
    said: Vec<String>,
    programs: Programs,
    files: TempDir,
}

impl Stand {
    /// All but controllers.
    pub async fn start(delays: Delays) -> anyhow::Result<Self> {
        // The first provider wins; there is no other in this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let programs = Programs::build()?;
        let emulator = Emulator::builder().objects_yaml(&objects()).start().await?;
        let (api, files) = (Arc::new(ApiServer::start().await?), tempfile::tempdir()?);
        populate(&api);
        let root = files.path();
        let volume = |resource, namespace, name| Volume { resource, namespace, name, directory: root.join(name) };
        let tls = TLS_SECRETS.map(|name| volume(Resource::CORE_SECRETS, NAMESPACE, name));
        let authority = volume(Resource::CONFIG_MAPS, INJECTED, AUTHORITY);
        let kubelet = Kubelet::start(&api, tls.into_iter().chain([authority]).collect(), delays)?;
        fs::create_dir(root.join("manifests"))?;
        let below = Files::below(root);
        below.write("manifests/all.yaml", &manifests(&emulator))?;
        below.write("kubeconfig", &api.kubeconfig(NAMESPACE))?;
        below.sign_in(&emulator)?;
        let broker = broker(&programs, root, &emulator).await?;
        let webhook = webhook(&programs, root, broker.1.server).await?;
        let (controllers, said) = (BTreeMap::new(), Vec::new());
        Ok(Self { api, emulator, kubelet, broker, webhook, controllers, said, programs, files })
    }

    /// Returns once the broker and the webhook are ready, and pods and the API server know whom to trust.
    pub async fn ready(&self) -> anyhow::Result<()> {
        for (name, (_, addresses)) in [("broker", &self.broker), ("webhook", &self.webhook)] {
            let ready = async || told(addresses.admin, "readyz").await.is_ok_and(|text| text.trim() == "ready");
            until(&format!("the {name} is ready"), PATIENCE, ready).await?;
        }
        let trusts = async || {
            let bundle = configuration(&self.api).map(|it| it["webhooks"][0]["clientConfig"]["caBundle"].is_string());
            self.authority().exists() && bundle == Some(true)
        };
        until("there is somebody to trust", PATIENCE, trusts).await
    }

    /// A controller that issues certificates, known to others as `identity`.
    pub fn controller(&mut self, identity: &'static str, lifetimes: Lifetimes) -> anyhow::Result<()> {
        let mut command = Command::new(self.programs.path("keyward-controller")?);
        command.arg("serve").env_clear().envs([
            ("KUBECONFIG", self.path("kubeconfig").as_str()),
            ("KEYWARD_ADMIN_LISTEN", "127.0.0.1:0"),
            ("KEYWARD_LOG_FORMAT", "json"),
            ("KEYWARD_BROKER", &self.broker_url()),
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
        self.controllers.insert(identity, Process::spawn("keyward-controller", &mut command)?);
        Ok(())
    }

    /// Ends a controller as a node that is lost does.
    pub async fn kill(&mut self, identity: &str) -> anyhow::Result<()> {
        let process = self.controllers.remove(identity).with_context(|| format!("no controller {identity}"))?;
        process.signal(Signal::KILL)?;
        let ended = process.finish().await?;
        self.said.extend(unheard(&ended.stderr));
        Ok(())
    }

    /// The object in the release's namespace.
    pub fn secret(&self, name: &str) -> Option<Value> {
        self.api.get(Resource::CORE_SECRETS, NAMESPACE, name)
    }

    /// Where a rotation is; nothing where there is no authority.
    pub fn slots(&self) -> Option<Slots> {
        let secret = self.secret(AUTHORITY)?;
        let holds = |name: &str| secret["data"][name].is_string();
        match (holds("active.crt"), holds("next.crt"), holds("retired.crt")) {
            (true, false, false) => Some(Slots::Settled),
            (true, true, false) => Some(Slots::Prepared),
            (true, false, true) => Some(Slots::Retiring),
            _ => None,
        }
    }

    /// As `kubectl annotate secret keyward-ca keyward.dev/rotate=now` does.
    pub fn ask_for_rotation(&self) {
        self.api.edit(Resource::CORE_SECRETS, NAMESPACE, AUTHORITY, |secret| {
            secret["metadata"]["annotations"]["keyward.dev/rotate"] = "now".into();
        });
    }

    /// Which of the controllers works.
    pub fn leader(&self) -> Option<&'static str> {
        let lease = self.api.get(Resource::LEASES, NAMESPACE, "keyward-controller")?;
        let holder = lease["spec"]["holderIdentity"].as_str()?;
        self.controllers.keys().copied().find(|identity| *identity == holder)
    }

    /// Whom a pod that starts now is told to trust.
    pub fn projected(&self) -> String {
        fs::read_to_string(self.authority()).unwrap_or_default()
    }

    /// How many authorities the server at work trusts, as its metrics say.
    pub async fn trusted(&self, server: Server) -> anyhow::Result<usize> {
        let metrics = told(self.addresses(server).admin, "metrics").await?;
        let authority = r#"keyward_certificate_expiry_timestamp_seconds{certificate="ca-"#;
        Ok(metrics.lines().filter(|line| line.starts_with(authority)).count())
    }

    /// Ends the load and says what became of all.
    pub async fn report(&mut self, mut load: Load) -> anyhow::Result<Report> {
        load.stop().await?;
        self.kubelet.check()?;
        for process in self.controllers.values().chain([&self.broker.0, &self.webhook.0]) {
            ensure!(!process.leaked(), "a program printed a value");
        }
        let mut report = Report { calls: load.calls.all(), ..Report::default() };
        for server in Server::ALL {
            report.rotations.insert(server, load.served.rotations(server));
            report.handshakes.insert(server, self.handshakes_failed(server).await?);
        }
        report.unheard = self.controllers.values().flat_map(|process| unheard(&process.printed())).collect();
        report.unheard.extend(self.said.iter().cloned());
        Ok(report)
    }

    async fn handshakes_failed(&self, server: Server) -> anyhow::Result<u64> {
        let metrics = told(self.addresses(server).admin, "metrics").await?;
        let failed = r#"keyward_connections_total{outcome="handshake_failed"} "#;
        let count = metrics.lines().find_map(|line| line.strip_prefix(failed)).context("no count of handshakes")?;
        Ok(count.parse()?)
    }

    fn addresses(&self, server: Server) -> Addresses {
        match server {
            Server::Broker => self.broker.1,
            Server::Webhook => self.webhook.1,
        }
    }

    fn authority(&self) -> PathBuf {
        self.files.path().join(AUTHORITY).join("ca.crt")
    }

    fn path(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    fn broker_url(&self) -> String {
        url(self.broker.1.server)
    }

    pub(super) fn pod(&self, name: &str, served: &Arc<Served>) -> anyhow::Result<Pod> {
        let token = self.emulator.projected_token(&ProjectedToken::for_pod(INJECTED, "checkout", name))?;
        Ok(Pod {
            broker: self.broker.1.server,
            authority: self.authority(),
            authorization: format!("Bearer {token}").parse()?,
            served: Arc::clone(served),
        })
    }

    pub(super) fn launcher(&self, name: &str) -> anyhow::Result<Launcher> {
        let token = self.emulator.projected_token(&ProjectedToken::for_pod(INJECTED, "checkout", name))?;
        Files::below(self.files.path()).write("token", &token)?;
        Ok(Launcher {
            program: self.programs.path("keyward-launcher")?.to_owned(),
            broker: self.broker_url(),
            authority: self.authority(),
            token: self.files.path().join("token"),
        })
    }

    pub(super) fn reviewer(&self, served: &Arc<Served>) -> anyhow::Result<Reviewer> {
        let reviews = Reviews::with_command()?;
        Ok(Reviewer { api: Arc::clone(&self.api), webhook: self.webhook.1.server, reviews, served: Arc::clone(served) })
    }
}

/// The webhook configuration as it is now.
pub fn configuration(api: &ApiServer) -> Option<Value> {
    api.get(Resource::MUTATING_WEBHOOKS, "", CONFIGURATION)
}

/// Changes the first webhook's `caBundle`.
pub fn set_bundle(api: &ApiServer, bundle: &str) {
    api.edit(Resource::MUTATING_WEBHOOKS, "", CONFIGURATION, |configuration| {
        configuration["webhooks"][0]["clientConfig"]["caBundle"] = bundle.into();
    });
}

pub(super) fn reference(n: usize) -> String {
    format!("secret-{n}")
}

pub(super) fn value(n: usize) -> String {
    format!("{MARKER}-{n}")
}

fn populate(api: &ApiServer) {
    let labels = json!({ "azure-key-vault-env-injection": "enabled" });
    api.put(Resource::NAMESPACES, json!({ "metadata": { "name": INJECTED, "labels": labels } }));
    api.put(Resource::NAMESPACES, json!({ "metadata": { "name": NAMESPACE } }));
    let service = json!({ "name": "keyward-webhook", "namespace": NAMESPACE, "path": "/pods" });
    let webhook = json!({ "name": "pods.keyward.dev", "clientConfig": { "service": service } });
    api.put(Resource::MUTATING_WEBHOOKS, json!({ "metadata": { "name": CONFIGURATION }, "webhooks": [webhook] }));
}

fn objects() -> String {
    let secrets = (0..SECRETS).map(|n| format!("      {}: {{value: {}}}\n", reference(n), value(n)));
    format!(
        "vaults:\n  acme:\n    secrets:\n{}identities:\n  - clientId: {CLIENT}\n    \
         federatedSubjects: [\"system:serviceaccount:keyward:keyward-broker\"]\n",
        secrets.collect::<String>()
    )
}

fn manifests(emulator: &Emulator) -> String {
    let vault = format!(
        "apiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {{name: acme}}\n\
         spec: {{vaultName: acme, url: '{}', namespaces: {{names: [{INJECTED}]}}}}\n",
        emulator.vault_url("acme")
    );
    let secrets = (0..SECRETS).map(reference).map(|name| {
        format!(
            "---\napiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\nmetadata: {{name: {name}, namespace: {INJECTED}}}\n\
             spec: {{vault: {{name: acme, object: {{name: {name}, type: secret}}}}}}\n"
        )
    });
    [vault].into_iter().chain(secrets).collect()
}

fn url(broker: SocketAddr) -> String {
    format!("https://{BROKER_NAME}:{}", broker.port())
}

async fn broker(programs: &Programs, root: &Path, emulator: &Emulator) -> anyhow::Result<(Process, Addresses)> {
    let mut command = Command::new(programs.path("keyward-broker")?);
    command.arg("serve").env_clear().envs(broker_environment(root, TLS_SECRETS[0], emulator));
    // One pod, or one webhook, stands for thousands here.
    command.env("KEYWARD_REQUESTS_PER_POD", "1000000").env("KEYWARD_REQUESTS_PER_ROLE", "1000000");
    let process = Process::spawn("keyward-broker", &mut command)?;
    let (server, admin) = serving(&process).await?;
    Ok((process, Addresses { server, admin }))
}

async fn webhook(programs: &Programs, root: &Path, broker: SocketAddr) -> anyhow::Result<(Process, Addresses)> {
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

async fn told(admin: SocketAddr, path: &str) -> anyhow::Result<String> {
    Ok(reqwest::get(format!("http://{admin}/{path}")).await?.text().await?)
}

/// Each time that a controller lost the broker it had heard, and why; a certificate of its own that is replaced is no reason.
fn unheard(printed: &str) -> Vec<String> {
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
