//! Starting an emulator: its settings, and the world they make.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::Emulator;
use super::auth::AccessTokens;
use super::calls::Calls;
use super::clock::Clock;
use super::config::{DEFAULT_RESOURCE, DEFAULT_TENANT, Objects, ObjectsError, VaultSeed};
use super::endpoints::Endpoints;
use super::faults::Faults;
use super::identities::Identities;
use super::issuer::Issuer;
use super::jwt::SignError;
use super::limit::Limit;
use super::listeners::{Listeners, Ports};
use super::own_certificate::own_certificate;
use super::pages::MAX_PAGE;
use super::server::{TlsError, tls};
use super::shelves::Shelves;
use super::store::{Store, StoreError};
use super::world::{Vault, World};
use super::x509::ChainAuthority;
use crate::ca::CaError;

/// Why an emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// The objects file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The objects make no sense.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// One object cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A port is taken, or may not be bound.
    #[error("cannot listen on {address} for {what}: {source}")]
    Bind {
        /// What was to be served there.
        what: String,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// More vaults than ports above the first.
    #[error("there are no {vaults} ports from {first} on; choose a lower first port, or 0 for free ones")]
    Ports {
        /// First port.
        first: u16,
        /// How many are needed.
        vaults: usize,
    },
    /// The emulator's own certificate.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A signing key.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The authority behind chained certificates.
    #[error("cannot make the authority behind chained certificates: {0}")]
    Chain(String),
    /// The thread that makes keys died.
    #[error("making the objects failed")]
    Seeding,
}

/// How an emulator is to be set up. Everything has a default; all ports are free ones on loopback.
#[must_use = "nothing runs before `start`"]
pub struct Builder {
    yaml: String,
    file: Option<PathBuf>,
    listen: IpAddr,
    vault_port: u16,
    identity_port: u16,
    http_port: u16,
    imds: Option<SocketAddr>,
    page_size: usize,
    identity_header: Option<String>,
    tls_dir: Option<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            yaml: String::new(),
            file: None,
            listen: Ipv4Addr::LOCALHOST.into(),
            vault_port: 0,
            identity_port: 0,
            http_port: 0,
            imds: None,
            page_size: MAX_PAGE,
            identity_header: None,
            tls_dir: None,
        }
    }
}

impl Builder {
    /// Vaults, objects and identities, as YAML.
    pub fn objects_yaml(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.yaml);
        self
    }

    /// The same from a file; certificate files that it names are found beside it.
    pub fn objects_file(mut self, path: &Path) -> Self {
        self.file = Some(path.to_owned());
        self
    }

    /// The address of all ports.
    pub fn listen(mut self, address: IpAddr) -> Self {
        self.listen = address;
        self
    }

    /// The first vault's port; the others follow in order of name. 0: free ones.
    pub fn vault_port(mut self, port: u16) -> Self {
        self.vault_port = port;
        self
    }

    /// The port of Entra and the token issuer.
    pub fn identity_port(mut self, port: u16) -> Self {
        self.identity_port = port;
        self
    }

    /// The port of the control API, IMDS and App Service.
    pub fn http_port(mut self, port: u16) -> Self {
        self.http_port = port;
        self
    }

    /// Serves IMDS at an address of its own too, such as its well-known 169.254.169.254:80.
    pub fn imds(mut self, address: SocketAddr) -> Self {
        self.imds = Some(address);
        self
    }

    /// Makes pages shorter than Key Vault's 25, for readers that must follow many.
    pub fn page_size(mut self, items: usize) -> Self {
        self.page_size = items.clamp(1, MAX_PAGE);
        self
    }

    /// What App Service demands in `X-IDENTITY-HEADER`; made up where not set.
    pub fn identity_header(mut self, value: &str) -> Self {
        self.identity_header = Some(value.to_owned());
        self
    }

    /// Serves with `tls.crt` and `tls.key` of a directory, and tells `ca.crt` as its authority: for an emulator that clients
    /// are to believe after a restart too.
    pub fn tls_dir(mut self, directory: &Path) -> Self {
        self.tls_dir = Some(directory.to_owned());
        self
    }

    /// Starts it; everything serves when this returns.
    pub async fn start(self) -> Result<Emulator, EmulatorError> {
        let objects = self.objects()?;
        let ports = Ports {
            listen: self.listen,
            first_vault: self.vault_port,
            identity: self.identity_port,
            http: self.http_port,
            imds: self.imds,
        };
        let names: Vec<&str> = objects.vaults.keys().map(String::as_str).collect();
        let listeners = Listeners::bind(&ports, &names).await?;
        let header = self.identity_header.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
        let endpoints = Endpoints::new(listeners.addresses(), &header);
        let certificate = own_certificate(self.tls_dir.as_deref(), self.listen)?;
        let tls = tls(&certificate)?;
        let ca_pem = certificate.ca_pem;
        let urls = endpoints.clone();
        let page_size = self.page_size;
        let made = tokio::task::spawn_blocking(move || make_world(objects, &urls, page_size, header, ca_pem));
        let world = made.await.map_err(|_| EmulatorError::Seeding)??;
        let stop = CancellationToken::new();
        let servers = listeners.serve(&world, &tls, &stop);
        Ok(Emulator::new(world, endpoints, stop, servers))
    }

    fn objects(&self) -> Result<Objects, EmulatorError> {
        let Some(path) = &self.file else {
            return Ok(Objects::from_yaml(&self.yaml)?);
        };
        let text = fs::read_to_string(path)
            .map_err(|source| EmulatorError::File { path: path.display().to_string(), source })?;
        let mut objects = Objects::from_yaml(&text)?;
        let beside = path.parent().unwrap_or(Path::new("."));
        for seed in objects.vaults.values_mut().flat_map(|vault| vault.certificates.values_mut()) {
            for file in [&mut seed.pfx_file, &mut seed.pem_file].into_iter().flatten() {
                *file = beside.join(&*file).display().to_string();
            }
        }
        Ok(objects)
    }
}

fn make_world(
    objects: Objects,
    urls: &Endpoints,
    page_size: usize,
    identity_header: String,
    ca_pem: String,
) -> Result<Arc<World>, EmulatorError> {
    let vaults = objects.vaults.iter().map(|(name, seed)| (name.clone(), Arc::new(empty_vault(name, seed)))).collect();
    let world = Arc::new(World {
        vaults,
        identities: Identities::new(objects.identities),
        access_tokens: AccessTokens::new(urls.authority.clone())?,
        issuer: Issuer::new(urls.issuer.clone())?,
        chain_authority: ChainAuthority::new().map_err(|error| EmulatorError::Chain(error.to_string()))?,
        faults: Faults::default(),
        calls: Calls::default(),
        clock: Clock::default(),
        began: Instant::now(),
        page_size,
        identity_header,
        ca_pem,
    });
    for (name, seed) in &objects.vaults {
        if let Some(vault) = world.vaults.get(name) {
            Store::new(world.clone(), vault.clone()).fill(seed)?;
        }
    }
    Ok(world)
}

fn empty_vault(name: &str, seed: &VaultSeed) -> Vault {
    Vault {
        name: name.to_owned(),
        tenant: seed.tenant.clone().unwrap_or_else(|| DEFAULT_TENANT.to_owned()),
        resource: seed.resource.clone().unwrap_or_else(|| DEFAULT_RESOURCE.to_owned()),
        refuse: seed.refuse.clone(),
        limit: seed.limit.map(Limit::new),
        shelves: Mutex::new(Shelves::default()),
    }
}
