//! A vault, an authority and a reader between them.

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use keyward_broker::{
    object::ObjectId,
    vault::{
        azure::{AzureConfig, AzureVaults, ConnectError},
        credential::{Application, IdentityConfig, SecretSource},
        observe::{Operation, RequestObserver},
        reader::AzureVault,
        transport::Roots,
    },
};
use keyward_crds::azure_key_vault::Cloud;
use keyward_types::{ObjectKind, ObjectName, ObjectVersion};
use serde_json::json;
use tempfile::NamedTempFile;

use super::server::{Answer, Ca, Call, Server};

pub(crate) const V1: &str = "11111111111111111111111111111111";
pub(crate) const V2: &str = "22222222222222222222222222222222";
pub(crate) const CHALLENGE: &str =
    r#"Bearer authorization="https://login.example/tenant", resource="https://vault.azure.net""#;

/// Everything a test of one vault needs.
pub(crate) struct World {
    pub(crate) vault: Server,
    pub(crate) entra: Server,
    pub(crate) seen: Arc<Seen>,
    pub(crate) timeout: Duration,
    pub(crate) identity: IdentityConfig,
    ca_file: NamedTempFile,
}

impl World {
    /// A vault that challenges whoever comes without a token, and answers the others by `answer`.
    pub(crate) async fn new(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        Self::open(challenging(answer)).await
    }

    /// A vault that answers by `answer` alone.
    pub(crate) async fn open(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_entra(answer, tokens()).await
    }

    pub(crate) async fn with_entra(
        vault: impl Fn(&Call) -> Answer + Send + Sync + 'static,
        entra: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::trusting(&Ca::new(), vault, entra).await
    }

    /// As a part of a larger world, where `ca` vouches for other servers too.
    pub(crate) async fn trusting(
        ca: &Ca,
        vault: impl Fn(&Call) -> Answer + Send + Sync + 'static,
        entra: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let mut ca_file = NamedTempFile::new().unwrap();
        ca_file.write_all(ca.pem().as_bytes()).unwrap();
        let (vault, entra) = (Server::start(ca, vault).await, Server::start(ca, entra).await);
        let identity = by_secret("tenant-1", "client-1");
        Self { vault, entra, seen: Arc::default(), timeout: Duration::from_secs(15), identity, ca_file }
    }

    pub(crate) fn vaults(&self) -> AzureVaults {
        AzureVaults::new(self.config(), self.seen.clone()).unwrap()
    }

    pub(crate) fn config(&self) -> AzureConfig {
        AzureConfig {
            authority_host: Some(self.entra.origin.clone()),
            roots: Roots::Only(self.ca_file.path().to_owned()),
            timeout: self.timeout,
            ..AzureConfig::default()
        }
    }

    pub(crate) fn try_reader(&self) -> Result<AzureVault, ConnectError> {
        self.vaults().connect(&self.vault.origin, Cloud::AzurePublic, &self.identity, self.seen.clone())
    }

    pub(crate) fn reader(&self) -> AzureVault {
        self.try_reader().unwrap()
    }

    /// `(path, authorization)` of the vault's calls in order.
    pub(crate) fn vault_calls(&self) -> Vec<(String, Option<String>)> {
        self.vault.calls().into_iter().map(|call| (call.target, call.authorization)).collect()
    }
}

pub(crate) fn application(tenant_id: &str, client_id: &str) -> Application {
    Application { tenant_id: tenant_id.to_owned(), client_id: client_id.to_owned() }
}

pub(crate) fn by_secret(tenant_id: &str, client_id: &str) -> IdentityConfig {
    let secret = SecretSource::Held("kwcanary client secret".into());
    IdentityConfig::ClientSecret { application: application(tenant_id, client_id), secret }
}

/// Counts every request by what it was and how it was answered.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Vec<(Operation, Option<u16>)>>);

impl Seen {
    pub(crate) fn all(&self) -> Vec<(Operation, Option<u16>)> {
        self.0.lock().unwrap().clone()
    }
}

impl RequestObserver for Seen {
    fn request(&self, operation: Operation, status: Option<u16>, _took: Duration) {
        self.0.lock().unwrap().push((operation, status));
    }
}

/// A token endpoint that issues `token-1`, `token-2`, …
pub(crate) fn tokens() -> impl Fn(&Call) -> Answer + Send + Sync {
    let issued = AtomicUsize::new(0);
    move |_| {
        let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
        let token = format!("token-{number}");
        Answer::json(200, json!({"token_type": "Bearer", "expires_in": 3600, "access_token": token}))
    }
}

/// A vault's door: no token, no entry.
pub(crate) fn challenging(answer: impl Fn(&Call) -> Answer + Send + Sync) -> impl Fn(&Call) -> Answer + Send + Sync {
    move |call| if call.authorization.is_some() { answer(call) } else { challenge(CHALLENGE) }
}

pub(crate) fn challenge(challenge: &str) -> Answer {
    Answer::with(401, &[("www-authenticate", challenge)], json!({"error": {"code": "Unauthorized"}}))
}

/// A vault that holds every secret in version [`V1`], with the value `kwcanary-value`.
pub(crate) fn any_secret(call: &Call) -> Answer {
    let name = call.target.split('/').nth(2).unwrap();
    secret(&format!("https://{}/secrets/{name}/{V1}", call.host))
}

pub(crate) fn secret(id: &str) -> Answer {
    let attributes = json!({"enabled": true, "nbf": 1_000, "exp": 2_000, "created": 10, "updated": 20});
    Answer::json(200, json!({"value": "kwcanary-value", "id": id, "contentType": "text/x", "attributes": attributes}))
}

/// `secret-1` and the like.
pub(crate) fn object(kind: ObjectKind, name: &str, version: Option<&str>) -> ObjectId {
    ObjectId {
        kind,
        name: ObjectName::new(name).unwrap(),
        version: version.map(|version| ObjectVersion::new(version).unwrap()),
    }
}

/// The current version of a secret.
pub(crate) fn current(name: &str) -> ObjectId {
    object(ObjectKind::Secret, name, None)
}
