//! Everything: an API server that plays a part, a kubelet, and the real broker, webhook and controllers as processes. The
//! broker and the webhook begin without certificates, as pods of a first installation do.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    kubelet::{Delays, Kubelet, Volume},
    launches::Launcher,
    load::Load,
    processes::{self, Addresses, Lifetimes},
    report::Report,
    resolves::Pod,
    reviews::Reviewer,
    scene::{self, AUTHORITY, INJECTED, NAMESPACE, TLS_SECRETS},
    served::{Served, Server},
    until,
};
use crate::{
    admission::reviews::Reviews,
    api::{ApiServer, Resource},
    process::{Process, Signal},
    programs::Programs,
    stand::Files,
    vault::{Emulator, ProjectedToken},
};

/// The longest that anything is waited for which is not a rotation.
pub const PATIENCE: Duration = Duration::from_secs(40);

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
        let emulator = Emulator::builder().objects_yaml(&scene::objects()).start().await?;
        let (api, files) = (Arc::new(ApiServer::start().await?), tempfile::tempdir()?);
        scene::populate(&api);
        let root = files.path();
        let volume = |resource, namespace, name| Volume { resource, namespace, name, directory: root.join(name) };
        let tls = TLS_SECRETS.map(|name| volume(Resource::CORE_SECRETS, NAMESPACE, name));
        let authority = volume(Resource::CONFIG_MAPS, INJECTED, AUTHORITY);
        let kubelet = Kubelet::start(&api, tls.into_iter().chain([authority]).collect(), delays)?;
        fs::create_dir(root.join("manifests"))?;
        let below = Files::below(root);
        below.write("manifests/all.yaml", &scene::manifests(&emulator))?;
        below.write("kubeconfig", &api.kubeconfig(NAMESPACE))?;
        below.sign_in(&emulator)?;
        let broker = processes::broker(&programs, root, &emulator).await?;
        let webhook = processes::webhook(&programs, root, broker.1.server).await?;
        let (controllers, said) = (BTreeMap::new(), Vec::new());
        Ok(Self { api, emulator, kubelet, broker, webhook, controllers, said, programs, files })
    }

    /// Returns once the broker and the webhook are ready, and pods and the API server know whom to trust.
    pub async fn ready(&self) -> anyhow::Result<()> {
        for (name, (_, addresses)) in [("broker", &self.broker), ("webhook", &self.webhook)] {
            let ready =
                async || processes::told(addresses.admin, "readyz").await.is_ok_and(|text| text.trim() == "ready");
            until(&format!("the {name} is ready"), PATIENCE, ready).await?;
        }
        let trusts = async || {
            let bundle =
                scene::configuration(&self.api).map(|it| it["webhooks"][0]["clientConfig"]["caBundle"].is_string());
            self.authority().exists() && bundle == Some(true)
        };
        until("there is somebody to trust", PATIENCE, trusts).await
    }

    /// A controller that issues certificates, known to others as `identity`.
    pub fn controller(&mut self, identity: &'static str, lifetimes: Lifetimes) -> anyhow::Result<()> {
        let process =
            processes::controller(&self.programs, self.files.path(), self.broker.1.server, identity, lifetimes)?;
        self.controllers.insert(identity, process);
        Ok(())
    }

    /// Ends a controller as a node that is lost does.
    pub async fn kill(&mut self, identity: &str) -> anyhow::Result<()> {
        let process = self.controllers.remove(identity).with_context(|| format!("no controller {identity}"))?;
        process.signal(Signal::KILL)?;
        let ended = process.finish().await?;
        self.said.extend(processes::unheard(&ended.stderr));
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
        let metrics = processes::told(self.addresses(server).admin, "metrics").await?;
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
        report.unheard = self.controllers.values().flat_map(|process| processes::unheard(&process.printed())).collect();
        report.unheard.extend(self.said.iter().cloned());
        Ok(report)
    }

    async fn handshakes_failed(&self, server: Server) -> anyhow::Result<u64> {
        let metrics = processes::told(self.addresses(server).admin, "metrics").await?;
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

    fn broker_url(&self) -> String {
        processes::url(self.broker.1.server)
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
