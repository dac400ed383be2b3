//! A whole Keyward on this machine: the emulator in this process, the real broker as a process of its own, and what it
//! takes to run the real launcher against them. The quickstart and the tests across components use it.

mod files;

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    ca::{CaError, TestCa},
    process::{Process, ProcessError},
    programs::{Programs, ProgramsError},
    vault::{Emulator, EmulatorError, ProjectedToken, SignError},
};

pub use files::{Files, broker_environment};

/// Trust domain of the stand's certificates.
pub const TRUST_DOMAIN: &str = "keyward.test";

/// The identity that `examples/vault.yaml` knows.
pub const TENANT: &str = "11111111-1111-1111-1111-111111111111";
/// Its client id.
pub const CLIENT: &str = "22222222-2222-2222-2222-222222222222";

/// What is to be set up.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The emulator's objects, YAML.
    pub objects: String,
    /// Manifests by file name. `https://NAME.emulated` stands for the emulator's URL of vault NAME.
    pub manifests: BTreeMap<String, String>,
    /// Variables for the broker beside those it needs, or instead of them.
    pub broker_environment: BTreeMap<String, String>,
    /// Variables that the broker is to do without.
    pub without: Vec<String>,
    /// Names in the broker's certificate beside `localhost` and 127.0.0.1.
    pub names: Vec<String>,
    /// Another build of the broker than the tests' own.
    pub broker: Option<PathBuf>,
}

/// Why the stand is not there.
#[derive(Debug, thiserror::Error)]
pub enum StandError {
    /// The programs.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// The emulator.
    #[error(transparent)]
    Emulator(#[from] EmulatorError),
    /// A certificate.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// A token.
    #[error(transparent)]
    Token(#[from] SignError),
    /// A file of the stand.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// A running stand. Dropping it ends everything.
pub struct Stand {
    /// Key Vault, Entra and the issuer of tokens.
    pub emulator: Emulator,
    /// What signed the broker's certificate and signs roles.
    pub ca: TestCa,
    /// The broker.
    pub broker: Process,
    /// Where it serves gRPC.
    pub grpc: SocketAddr,
    /// Where its admin port is.
    pub admin: SocketAddr,
    /// The workspace's programs.
    pub programs: Programs,
    directory: TempDir,
}

impl Stand {
    /// Sets everything up and returns when the broker serves.
    pub async fn start(plan: Plan) -> Result<Self, StandError> {
        let programs = Programs::build()?;
        let emulator = Emulator::builder().objects_yaml(&plan.objects).start().await?;
        let directory =
            tempfile::tempdir().map_err(|source| StandError::File { path: std::env::temp_dir(), source })?;
        let ca = TestCa::new("Keyward test CA")?;
        let files = Files::below(directory.path());
        files.prepare(&emulator, &ca, &plan.names, &["operator"])?;
        let manifests = directory.path().join("manifests");
        fs::create_dir(&manifests).map_err(|source| StandError::File { path: manifests, source })?;
        for (name, text) in &plan.manifests {
            files.write(&format!("manifests/{name}"), &with_urls(text, &emulator))?;
        }
        let mut command = Command::new(match &plan.broker {
            Some(broker) => broker,
            None => programs.path("keyward-broker")?,
        });
        command.arg("serve").env_clear().envs(broker_environment(directory.path(), "broker-tls", &emulator));
        command.env("KEYWARD_LOG_LEVEL", "trace").envs(&plan.broker_environment);
        for variable in &plan.without {
            command.env_remove(variable);
        }
        let broker = Process::spawn("keyward-broker", command.stdin(Stdio::null()))?;
        let (grpc, admin) = serving(&broker).await?;
        Ok(Self { emulator, ca, broker, grpc, admin, programs, directory })
    }

    /// Where the stand keeps its files: `manifests`, `broker-tls`, `operator-tls`, `token`, `ca.crt`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The broker's address as clients write it.
    pub fn broker_url(&self) -> String {
        format!("https://localhost:{}", self.grpc.port())
    }

    /// Replaces or adds a manifest; `https://NAME.emulated` as in [`Plan::manifests`].
    pub fn write_manifest(&self, name: &str, text: &str) -> Result<(), StandError> {
        let files = Files::below(self.directory.path());
        files.write(&format!("manifests/{name}"), &with_urls(text, &self.emulator))
    }

    /// Writes a token for the launcher and returns its file.
    pub fn write_token(&self, token: &ProjectedToken) -> Result<PathBuf, StandError> {
        let text = self.emulator.projected_token(token)?;
        let name = format!("token-{}", token.pod.as_deref().unwrap_or("unbound"));
        Files::below(self.directory.path()).write(&name, &text)?;
        Ok(self.directory.path().join(name))
    }

    /// The launcher on `command`, with nothing in its environment but what it needs and `environment`.
    pub fn launcher(
        &self,
        token: &Path,
        environment: &[(&str, &str)],
        command: &[&str],
    ) -> Result<Command, StandError> {
        Ok(self.launcher_of(self.programs.path("keyward-launcher")?, token, environment, command))
    }

    /// The same by another build of the launcher.
    pub fn launcher_of(&self, program: &Path, token: &Path, environment: &[(&str, &str)], command: &[&str]) -> Command {
        let mut launcher = Command::new(program);
        launcher
            .args(["exec", "--"])
            .args(command)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("KEYWARD_BROKER", self.broker_url())
            .env("KEYWARD_CA_FILE", self.directory.path().join("ca.crt"))
            .env("KEYWARD_TOKEN_FILE", token)
            .envs(environment.iter().copied())
            .stdin(Stdio::null());
        launcher
    }

    /// `keyward-broker status` with the operator's certificate.
    pub fn status(&self, arguments: &[&str]) -> Result<Command, StandError> {
        let mut status = self.operator(&["status"])?;
        status.args(arguments);
        Ok(status)
    }

    /// `keyward-broker` with the operator's certificate: `status`, `refresh` or `explain`.
    pub fn operator(&self, arguments: &[&str]) -> Result<Command, StandError> {
        let mut command = Command::new(self.programs.path("keyward-broker")?);
        command
            .args(arguments)
            .env_clear()
            .env("KEYWARD_BROKER", self.broker_url())
            .env("KEYWARD_OPERATOR_TLS_DIR", self.directory.path().join("operator-tls"))
            .stdin(Stdio::null());
        Ok(command)
    }
}

/// `https://NAME.emulated` becomes the emulator's URL of vault NAME.
pub(crate) fn with_urls(text: &str, emulator: &Emulator) -> String {
    emulator.vault_names().iter().fold(text.to_owned(), |text, name| {
        text.replace(&format!("https://{name}.emulated"), &emulator.vault_url(name))
    })
}

/// Where a broker serves gRPC and its admin port, once it says so.
pub async fn serving(broker: &Process) -> Result<(SocketAddr, SocketAddr), ProcessError> {
    let said = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let address = |name: &str| line[name].as_str()?.parse::<SocketAddr>().ok();
        address("grpc").zip(address("admin"))
    };
    broker.line("where it serves", said).await
}
