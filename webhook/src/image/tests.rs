//! Lookups against a registry that behaves, and one that does not.

mod hostile;
mod identity;
mod reading;
mod rights;
mod sharing;

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use keyward_tests::{
    ca::TestCa,
    registry::{Auth, FakeImage, FakeRegistry},
};
use serde_json::json;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::*;

/// A registry with TLS, a cluster's secrets, and the CA that lookups are told to trust.
struct Scene {
    ca: TestCa,
    registry: FakeRegistry,
    secrets: Arc<FakeSecrets>,
    ca_file: NamedTempFile,
}

/// Secrets by namespace and name; what is not there does not exist.
#[derive(Default)]
struct FakeSecrets {
    configs: Mutex<HashMap<(String, String), Result<DockerConfig, PullSecretsError>>>,
    accounts: Mutex<HashMap<(String, String), Vec<String>>>,
    reads: AtomicUsize,
}

#[async_trait]
impl PullSecrets for FakeSecrets {
    async fn read(&self, namespace: &str, name: &str) -> Result<Option<DockerConfig>, PullSecretsError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.configs.lock().unwrap().get(&(namespace.into(), name.into())).cloned().transpose()
    }

    async fn of_service_account(&self, namespace: &str, name: &str) -> Result<Vec<String>, PullSecretsError> {
        Ok(self.accounts.lock().unwrap().get(&(namespace.into(), name.into())).cloned().unwrap_or_default())
    }
}

impl FakeSecrets {
    fn put(&self, namespace: &str, name: &str, config: Result<DockerConfig, PullSecretsError>) {
        self.configs.lock().unwrap().insert((namespace.into(), name.into()), config);
    }

    /// A pull secret with one entry.
    fn add(&self, namespace: &str, name: &str, registry: &str, entry: &serde_json::Value) {
        let text = json!({"auths": {registry: entry}}).to_string();
        let bytes = Zeroizing::new(text.into_bytes());
        self.put(namespace, name, Ok(DockerConfig { shape: Shape::DockerConfigJson, bytes }));
    }

    fn add_account(&self, namespace: &str, name: &str, secrets: &[&str]) {
        let secrets = secrets.iter().map(ToString::to_string).collect();
        self.accounts.lock().unwrap().insert((namespace.into(), name.into()), secrets);
    }
}

impl Scene {
    async fn new(auth: Auth) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = TestCa::new("registry").unwrap();
        let registry = FakeRegistry::start(Some(&ca), auth).await.unwrap();
        let ca_file = NamedTempFile::new().unwrap();
        std::fs::write(ca_file.path(), ca.cert_pem()).unwrap();
        Self { ca, registry, secrets: Arc::default(), ca_file }
    }

    /// Nothing is proven for longer than a question.
    fn settings(&self) -> ImagesConfig {
        ImagesConfig {
            extra_ca: Some(self.ca_file.path().to_owned()),
            proof: Duration::ZERO,
            proof_by_digest: Duration::ZERO,
            ..ImagesConfig::default()
        }
    }

    fn images(&self) -> Images {
        self.images_with(self.settings())
    }

    fn images_with(&self, settings: ImagesConfig) -> Images {
        Images::new(settings, self.secrets.clone(), None).unwrap()
    }

    fn image(&self, rest: &str) -> String {
        format!("{}/{rest}", self.registry.host())
    }
}

/// By a pod of namespace `shop` and its default service account.
fn wanted(image: &str) -> Wanted {
    Wanted {
        image: image.to_owned(),
        architecture: None,
        namespace: "shop".to_owned(),
        pull_secrets: Vec::new(),
        service_account: "default".to_owned(),
    }
}

fn with_secrets(image: &str, secrets: &[&str]) -> Wanted {
    Wanted { pull_secrets: secrets.iter().map(ToString::to_string).collect(), ..wanted(image) }
}

fn for_architecture(image: &str, architecture: &str) -> Wanted {
    Wanted { architecture: Some(architecture.to_owned()), ..wanted(image) }
}

fn app() -> FakeImage {
    FakeImage::new(&["/app"], &["serve"]).env(&["A=b"])
}

fn named(name: &str) -> FakeImage {
    FakeImage::new(&[name], &[])
}

/// The message; each names the image and the fix, fits one line, and holds nothing secret.
async fn refused(images: &Images, wanted: &Wanted) -> String {
    let said = images.config(wanted).await.unwrap_err().to_string();
    assert!(said.contains(&wanted.image) && said.contains("Set `command`"), "{said}");
    assert!(!said.contains('\n') && said.len() <= 1_000 && !said.contains("kwcanary"), "{said}");
    said
}

fn count(images: &Images, label: &str) -> u64 {
    images.figures().outcomes.iter().find(|(known, _)| *known == label).unwrap().1
}
