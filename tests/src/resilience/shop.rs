//! Vaults of many secrets, of which namespace `shop` uses some, and clients that ask.

use std::{
    fmt::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use keyward_proto::v1::{
    Reference, RefreshRequest, RefreshedVault, ResolveRequest, StatusRequest, StatusResponse,
    cache_client::CacheClient, secrets_client::SecretsClient,
};
use tokio::time::sleep;
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::{
    stand::{CLIENT, Plan, Stand, TRUST_DOMAIN},
    vault::{Emulator, ProjectedToken, Store},
};

/// How long before its use a secret was last changed: long enough that no stamp is of the second of its reading.
const SETTLED: i64 = 3_600;

/// How often something that is waited for is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The longest that anything is waited for. It bounds a hang and is no part of any measurement.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One vault.
#[derive(Clone, Copy, Debug)]
pub struct Vault<'a> {
    /// Its name.
    pub name: &'a str,
    /// Secrets in it.
    pub secrets: usize,
    /// How many of them an `AzureKeyVaultSecret` names.
    pub used: usize,
    /// More of its declaration, such as `pollInterval: 1s`.
    pub settings: &'a str,
}

/// How the shop is built.
#[derive(Debug)]
pub struct Building<'a> {
    /// Its vaults.
    pub vaults: &'a [Vault<'a>],
    /// Bytes of each value.
    pub bytes: usize,
    /// Secrets declared in one file of manifests.
    pub secrets_in_a_file: usize,
    /// Variables for the broker.
    pub environment: &'a [(&'a str, &'a str)],
    /// Another build of the broker than the tests' own.
    pub broker: Option<PathBuf>,
    /// Requests that each vault answers in any ten seconds; all, where there is no limit.
    pub limit: Option<usize>,
}

impl<'a> Building<'a> {
    /// Short values, all declared in one file, the tests' own broker.
    pub fn of(vaults: &'a [Vault<'a>]) -> Self {
        Self { vaults, bytes: 32, secrets_in_a_file: usize::MAX, environment: &[], broker: None, limit: None }
    }

    /// What a stand or a fleet of it starts from: its vaults are still empty.
    pub fn plan(&self) -> anyhow::Result<Plan> {
        let objects = objects(self.vaults, self.limit)?;
        let mut plan = Plan { objects, broker: self.broker.clone(), ..Plan::default() };
        for vault in self.vaults {
            plan.manifests.insert(format!("{}.yaml", vault.name), declaration(vault));
            for (file, first) in (0..vault.used).step_by(self.secrets_in_a_file).enumerate() {
                let end = first.saturating_add(self.secrets_in_a_file).min(vault.used);
                plan.manifests.insert(format!("{}-{file:05}.yaml", vault.name), secrets(vault.name, first..end)?);
            }
        }
        // A line for each request otherwise; and here one pod asks as often as it likes.
        let quiet = [("KEYWARD_LOG_LEVEL", "info"), ("KEYWARD_REQUESTS_PER_POD", "1000000")];
        let environment = quiet.into_iter().chain(self.environment.iter().copied());
        plan.broker_environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(plan)
    }

    /// Fills the vaults.
    pub fn seed(&self, emulator: &Emulator) -> anyhow::Result<()> {
        emulator.clock().skew(-SETTLED);
        for vault in self.vaults {
            let store = emulator.store(vault.name).with_context(|| format!("there is no vault {}", vault.name))?;
            store.seed_secrets(vault.secrets, self.bytes)?;
        }
        emulator.clock().follow_system();
        Ok(())
    }
}

/// A stand with such vaults.
pub struct Shop {
    /// The stand.
    pub stand: Stand,
}

impl From<Stand> for Shop {
    /// Asks of a stand that was built otherwise.
    fn from(stand: Stand) -> Self {
        Self { stand }
    }
}

/// Somebody who asks over one connection as one pod.
#[derive(Clone, Debug)]
pub struct Asker {
    client: SecretsClient<Channel>,
    authorization: MetadataValue<Ascii>,
}

/// What the `n`th used secret of a vault is called in a reference.
pub fn reference(vault: &str, n: usize) -> String {
    format!("{vault}-{n:05}")
}

/// What it is called in the vault.
pub fn object(n: usize) -> String {
    format!("secret-{n:05}")
}

impl Shop {
    /// Builds it; nothing is cached yet.
    pub async fn open(building: Building<'_>) -> anyhow::Result<Self> {
        // The first provider wins; there is no other in this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shop = Self { stand: Stand::start(building.plan()?).await? };
        building.seed(&shop.stand.emulator)?;
        Ok(shop)
    }

    /// A vault's objects.
    pub fn vault(&self, name: &str) -> anyhow::Result<Store> {
        self.stand.emulator.store(name).with_context(|| format!("there is no vault {name}"))
    }

    /// Somebody with a connection and a pod's token of its own.
    pub async fn asker(&self, pod: &str) -> anyhow::Result<Asker> {
        let client = SecretsClient::new(self.endpoint(None)?.connect().await?);
        let authorization = format!("Bearer {}", self.token(pod)?).parse()?;
        Ok(Asker { client, authorization })
    }

    /// The token of a pod of its own.
    pub fn token(&self, pod: &str) -> anyhow::Result<String> {
        Ok(self.stand.emulator.projected_token(&ProjectedToken::for_pod("shop", "checkout", pod))?)
    }

    /// Has every open vault compared now.
    pub async fn refresh(&self) -> anyhow::Result<Vec<RefreshedVault>> {
        Ok(self.operator().await?.refresh(RefreshRequest::default()).await?.into_inner().vaults)
    }

    /// The first page of what the broker knows and holds.
    pub async fn status(&self) -> anyhow::Result<StatusResponse> {
        Ok(self.operator().await?.status(StatusRequest::default()).await?.into_inner())
    }

    /// The first sample of this series with such a label; nothing where there is none.
    pub async fn metric(&self, series: &str, label: &str) -> anyhow::Result<Option<f64>> {
        let text = reqwest::get(format!("http://{}/metrics", self.stand.admin)).await?.text().await?;
        let of_series = |line: &&str| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let sample = text.lines().filter(of_series).find(|line| line.contains(label));
        Ok(sample.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.parse()).transpose()?)
    }

    /// Returns once that sample is as `wanted`, or fails after a minute.
    pub async fn until_metric(&self, series: &str, label: &str, wanted: impl Fn(f64) -> bool) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let sample = self.metric(series, label).await?;
            if sample.is_some_and(&wanted) {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "{series} {label} is {sample:?} for {PATIENCE:?}");
            sleep(LOOK_EVERY).await;
        }
    }

    /// Returns once `objects` of a vault are stale.
    pub async fn until_stale(&self, vault: &str, objects: u32) -> anyhow::Result<()> {
        let url = self.stand.emulator.vault_url(vault);
        self.until_metric("keyward_vault_stale_objects", &url, |stale| stale >= f64::from(objects)).await
    }

    async fn operator(&self) -> anyhow::Result<CacheClient<Channel>> {
        Ok(CacheClient::new(self.endpoint(Some("operator"))?.connect().await?))
    }

    /// The broker, as somebody with a role's certificate, or without any, reaches it.
    pub fn endpoint(&self, role: Option<&str>) -> anyhow::Result<Endpoint> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.stand.ca.cert_pem()));
        if let Some(role) = role {
            let issued = self.stand.ca.issue_role(role, TRUST_DOMAIN)?;
            tls = tls.identity(Identity::from_pem(issued.cert_pem, issued.key_pem));
        }
        Ok(Endpoint::from_shared(self.stand.broker_url())?.tls_config(tls)?)
    }
}

impl Asker {
    /// One `Resolve` of whole objects.
    pub async fn ask(&self, names: &[String]) -> Result<Response<Vec<Vec<u8>>>, Status> {
        let references = names.iter().map(|name| Reference { name: name.clone(), query: None }).collect();
        let mut request = Request::new(ResolveRequest { references, ..ResolveRequest::default() });
        request.metadata_mut().insert("authorization", self.authorization.clone());
        Ok(self.client.clone().resolve(request).await?.map(|reply| reply.values))
    }

    /// The `used` first secrets of a vault, as many in a request as it may carry.
    pub async fn warm(&self, vault: &str, used: usize) -> anyhow::Result<()> {
        self.warm_by(vault, used, keyward_proto::MAX_REFERENCES).await
    }

    /// The same, so many in a request.
    pub async fn warm_by(&self, vault: &str, used: usize, at_once: usize) -> anyhow::Result<()> {
        let names: Vec<_> = (0..used).map(|n| reference(vault, n)).collect();
        for names in names.chunks(at_once) {
            self.ask(names).await?;
        }
        Ok(())
    }
}

fn objects(vaults: &[Vault<'_>], limit: Option<usize>) -> anyhow::Result<String> {
    let mut yaml = "vaults:\n".to_owned();
    let limit = limit.map_or_else(String::new, |limit| format!("limit: {limit}"));
    for vault in vaults {
        writeln!(yaml, "  {}: {{{limit}}}", vault.name)?;
    }
    writeln!(yaml, "identities:\n  - clientId: {CLIENT}")?;
    writeln!(yaml, "    federatedSubjects: [\"system:serviceaccount:keyward:keyward-broker\"]")?;
    Ok(yaml)
}

fn declaration(Vault { name, settings, .. }: &Vault<'_>) -> String {
    let comma = if settings.is_empty() { "" } else { ", " };
    format!(
        "apiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {{name: {name}}}\n\
         spec: {{vaultName: {name}, url: https://{name}.emulated, namespaces: {{names: [shop]}}{comma}{settings}}}\n"
    )
}

fn secrets(vault: &str, numbers: std::ops::Range<usize>) -> anyhow::Result<String> {
    let mut yaml = String::new();
    for n in numbers {
        let (name, object) = (reference(vault, n), object(n));
        write!(
            yaml,
            "---\napiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\n\
             metadata: {{name: {name}, namespace: shop}}\n\
             spec: {{vault: {{name: {vault}, object: {{name: {object}, type: secret}}}}}}\n"
        )?;
    }
    Ok(yaml)
}
