//! What an image starts when a pod does not say: entrypoint, command and environment, from its registry.

use std::sync::Arc;

/// The part of an image's configuration that decides what is started
/// ([OCI image configuration](https://github.com/opencontainers/image-spec/blob/main/config.md), `config`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`: what follows it where the pod gives no arguments.
    pub cmd: Vec<String>,
    /// `Env`, each `NAME=VALUE`.
    pub env: Vec<String>,
}

/// Which image, for which node, and with whose rights.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// As the pod writes it: `nginx`, `registry.example/team/app:1`, `…@sha256:…`.
    pub image: String,
    /// The architecture that the pod asks its node for (`amd64`, `arm64`), where it asks.
    pub architecture: Option<String>,
    /// The pod's namespace: its pull secrets are there.
    pub namespace: String,
    /// The pod's `imagePullSecrets`, in order.
    pub pull_secrets: Vec<String>,
    /// Whose `imagePullSecrets` count where the pod has none, as the API server does it.
    pub service_account: String,
}

/// Shared by all reviews that ask for the same configuration.
pub type SharedConfig = Arc<ImageConfig>;

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
#[error("image {image} was not looked up; set `command`")]
pub struct ImageError {
    image: String,
}
