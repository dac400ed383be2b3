//! What all tests share, set up when the first of them asks: the emulator in this process, the charts installed by helm,
//! and the broker and two controllers as processes with the rights of their own service accounts.

mod account;
mod declarations;
mod helm;
mod service;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use keyward_tests::{
    ca::TestCa,
    programs::Programs,
    stand::{Files, broker_environment},
    vault::{Emulator, Store},
};
use kube::Client;
use tempfile::TempDir;
use tokio::sync::Mutex;

pub use self::{
    account::{Account, BROKER, CONTROLLER, NAMESPACE},
    declarations::{LOAD_VAULTS, admits},
    service::Service,
};
use crate::{
    callers::Callers,
    manifests::Kinds,
    wait::{SOON, until_true},
};

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
    directory: TempDir,
    logs: PathBuf,
    broker: Mutex<Option<Broker>>,
    /// Where the broker serves, once one has served: the next one serves there too.
    address: Mutex<Option<SocketAddr>>,
    controllers: Mutex<[Option<Service>; CONTROLLERS]>,
}

/// The workspace's programs, and how much they are to say.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where they are.
    pub programs: Programs,
    /// `--log-level`: what is measured must not be measured writing logs that nobody would have it write.
    pub log_level: &'static str,
}

struct Broker {
    service: Service,
    admin: SocketAddr,
}

impl Stand {
    /// Emulator and charts; no process yet.
    pub async fn start(client: &Client, kinds: &Kinds, logs: &Path, built: &Built) -> anyhow::Result<Self> {
        let emulator = Emulator::builder().objects_yaml(&declarations::objects()).start().await?;
        let directory = tempfile::tempdir()?;
        let ca = TestCa::new("Keyward e2e CA")?;
        Files::below(directory.path()).prepare(&emulator, &ca, &[], &["controller", "operator"])?;
        helm::install().await?;
        declarations::apply(client, kinds, &emulator).await?;
        Ok(Self {
            emulator,
            ca,
            client: client.clone(),
            programs: built.programs.clone(),
            log_level: built.log_level,
            directory,
            logs: logs.to_owned(),
            broker: Mutex::default(),
            address: Mutex::default(),
            controllers: Mutex::default(),
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

    /// The broker's clients. It is started, and ready, if it was not.
    pub async fn broker(&self) -> anyhow::Result<Callers> {
        self.launch_broker().await?;
        until_true("the broker ready", SOON, async || self.broker_is_ready().await).await?;
        self.callers().await
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

    /// The broker's clients, whether or not it runs; one has run before.
    pub async fn callers(&self) -> anyhow::Result<Callers> {
        let address = self.address.lock().await.context("no broker has run yet")?;
        Callers::new(&format!("https://localhost:{}", address.port()), &self.ca)
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

    /// Kills the broker, if one runs. The next one that is asked for is a new process at the same address.
    pub async fn kill_broker(&self) -> anyhow::Result<()> {
        match self.broker.lock().await.take() {
            Some(broker) => broker.service.kill().await,
            None => Ok(()),
        }
    }

    /// Starts controllers until all run. The broker runs then too.
    pub async fn controllers(&self) -> anyhow::Result<()> {
        self.broker().await?;
        let mut controllers = self.controllers.lock().await;
        for (number, controller) in controllers.iter_mut().enumerate() {
            if controller.is_none() {
                *controller = Some(self.start_controller(number).await?);
            }
        }
        Ok(())
    }

    /// Starts controller `number`, if it does not run. The broker runs already.
    pub async fn controller(&self, number: usize) -> anyhow::Result<()> {
        let mut controllers = self.controllers.lock().await;
        if controllers[number].is_none() {
            controllers[number] = Some(self.start_controller(number).await?);
        }
        Ok(())
    }

    /// The metrics of controller `number`, which runs.
    pub async fn controller_metrics(&self, number: usize) -> anyhow::Result<String> {
        let printed = self.controller_printed(number).await.context("it does not run")?;
        let admin = printed.lines().find_map(serving_at).context("it does not say where it serves")?;
        Ok(reqwest::get(format!("http://{admin}/metrics")).await?.text().await?)
    }

    /// Has the broker compare all it holds with its vaults, as an operator with a certificate.
    pub async fn refresh_as_operator(&self) -> anyhow::Result<()> {
        let refreshed = self.broker().await?.refresh_by_certificate().await?;
        for vault in refreshed.vaults {
            ensure!(vault.error.is_empty(), "{}: {}", vault.vault, vault.error);
        }
        Ok(())
    }

    /// Kills one controller, if it runs.
    pub async fn kill_controller(&self, number: usize) -> anyhow::Result<()> {
        match self.controllers.lock().await[number].take() {
            Some(controller) => controller.kill().await,
            None => Ok(()),
        }
    }

    /// Asks one controller to end, and waits for that.
    pub async fn stop_controller(&self, number: usize) -> anyhow::Result<()> {
        match self.controllers.lock().await[number].take() {
            Some(controller) => controller.stop().await,
            None => Ok(()),
        }
    }

    /// Asks all controllers to end, and waits for that.
    pub async fn stop_controllers(&self) -> anyhow::Result<()> {
        for controller in self.controllers.lock().await.iter_mut().filter_map(Option::take) {
            controller.stop().await?;
        }
        Ok(())
    }

    /// What controller `number` has printed, if it runs.
    pub async fn controller_printed(&self, number: usize) -> Option<String> {
        self.controllers.lock().await[number].as_ref().map(Service::printed)
    }

    /// The process id of controller `number`, if it runs.
    pub async fn controller_pid(&self, number: usize) -> Option<u32> {
        self.controllers.lock().await[number].as_ref().and_then(Service::pid)
    }

    /// A kubeconfig of the account; made once, so that it is there without the API server too.
    async fn kubeconfig(&self, account: Account) -> anyhow::Result<PathBuf> {
        let file = account.file(self.directory.path());
        if !file.exists() {
            account.write_kubeconfig(&self.client, self.directory.path()).await?;
        }
        Ok(file)
    }

    async fn start_broker(&self) -> anyhow::Result<Broker> {
        let root = self.directory.path();
        let kubeconfig = self.kubeconfig(BROKER).await?;
        let mut environment = broker_environment(root, "broker-tls", &self.emulator);
        for of_directories in ["KEYWARD_JWKS_ISSUER", "KEYWARD_JWKS_CA_FILE"] {
            environment.remove(of_directories);
        }
        environment.insert("KEYWARD_SOURCE", "kubernetes".to_owned());
        environment.insert("KEYWARD_AUTHN", "token-review".to_owned());
        environment.insert("KEYWARD_LOG_LEVEL", self.log_level.to_owned());
        environment.insert("KUBECONFIG", kubeconfig.display().to_string());
        let mut address = self.address.lock().await;
        if let Some(address) = *address {
            environment.insert("KEYWARD_LISTEN", address.to_string());
        }
        let service = Service::start(
            "keyward-broker",
            self.programs.path("keyward-broker")?,
            &["serve"],
            environment,
            &self.logs,
        )?;
        let (grpc, admin) = keyward_tests::stand::serving(service.process()).await?;
        *address = Some(grpc);
        Ok(Broker { service, admin })
    }

    async fn start_controller(&self, number: usize) -> anyhow::Result<Service> {
        let root = self.directory.path();
        let address = self.address.lock().await.context("no broker has run yet")?;
        let environment = [
            ("KUBECONFIG", self.kubeconfig(CONTROLLER).await?.display().to_string()),
            ("KEYWARD_BROKER", format!("https://localhost:{}", address.port())),
            ("KEYWARD_TLS_DIR", root.join("controller-tls").display().to_string()),
            ("KEYWARD_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("KEYWARD_LEASE_NAMESPACE", NAMESPACE.to_owned()),
            ("KEYWARD_LEASE_DURATION", "6s".to_owned()),
            ("KEYWARD_COPY_LABELS", "team,app.kubernetes.io/*".to_owned()),
            ("KEYWARD_COPY_ANNOTATIONS", "note".to_owned()),
            ("KEYWARD_RESTART_WINDOW", "8s".to_owned()),
            ("KEYWARD_LOG_FORMAT", "json".to_owned()),
            ("KEYWARD_LOG_LEVEL", self.log_level.to_owned()),
        ];
        let name = format!("keyward-controller-{number}");
        let service =
            Service::start(&name, self.programs.path("keyward-controller")?, &[], environment.into(), &self.logs)?;
        service.process().line("where it serves", serving_at).await?;
        Ok(service)
    }

    /// An error where a process has printed a value or a token.
    pub async fn no_value_was_printed(&self) -> anyhow::Result<()> {
        let broker = self.broker.lock().await;
        let controllers = self.controllers.lock().await;
        let running = broker.iter().map(|broker| &broker.service).chain(controllers.iter().flatten());
        for service in running {
            ensure!(!service.process().leaked(), "{} printed a value", service.name());
        }
        Ok(())
    }

    /// Ends all processes, controllers first, and writes down what they printed.
    pub async fn end(&self) -> anyhow::Result<()> {
        let controllers = self.stop_controllers().await;
        if let Some(broker) = self.broker.lock().await.take() {
            broker.service.stop().await?;
        }
        controllers
    }
}

/// The address of the admin port, from the line that tells it.
fn serving_at(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| line[name].as_str().or_else(|| line["fields"][name].as_str());
    text("message").filter(|message| *message == "serving")?;
    text("admin")?.parse().ok()
}
