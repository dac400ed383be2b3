//! What an image starts when a pod does not say: entrypoint, command and environment, from its registry.
//!
//! [`Images`] is asked by the webhook's reviews, and by nobody else. Names, manifests, configurations, tokens and
//! redirects come from strangers: pods name any host, as they may towards the kubelet. So every answer is bounded in size
//! and time, content is verified against its digest, and credentials go only where they belong:
//!
//! | room | does | I/O |
//! |---|---|---|
//! | `settings` | how images are looked up | the CA file |
//! | `reference` | an image's name → registry, repository, tag or digest | |
//! | `cache` | remembers configurations and who may read them; one lookup at a time for a question | |
//! | `slots` | how many lookups run, in all and for one namespace | |
//! | `lookup` | one lookup: proof of rights, manifest, platform, configuration | registry |
//! | `credentials` | whose credentials are tried, in the kubelet's order | API server |
//! | `secrets`, `keyring` | pull secrets, and which of their entries fit an image | |
//! | `acr` | the webhook's own identity towards Azure Container Registry | Entra, registry |
//! | `challenge`, `token` | what a registry asks for, and the token that answers it | token service |
//! | `registry` | the calls to one registry | registry |
//! | `transport` | HTTP: bounded, redirects by hand, no detours to this machine | network |
//! | `manifest`, `config`, `digest` | parse and verify what came | |
//! | `error` | the one message for whom the pod is denied | |
//! | `figures` | what lookups came to, for metrics | |

mod acr;
mod cache;
mod challenge;
mod config;
mod credentials;
mod digest;
mod error;
mod figures;
mod keyring;
mod lookup;
mod manifest;
mod reference;
mod registry;
mod secrets;
mod settings;
mod slots;
mod token;
mod transport;

use std::sync::Arc;

pub use self::{
    acr::AcrIdentity,
    cache::Images,
    config::{ConfigError, parse_image_config},
    digest::{Digest, DigestError},
    error::{Cause, ImageError, Said},
    figures::Figures,
    manifest::{Entry, Manifest, ManifestError, parse_manifest, pick},
    reference::{ReferenceError, Target, Version, parse_reference},
    secrets::{DockerConfig, PullSecrets, PullSecretsError, Shape},
    settings::{ImagesConfig, ImagesError},
    transport::TransportError,
};

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

#[cfg(test)]
mod tests;
