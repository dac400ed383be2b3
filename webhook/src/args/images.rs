//! Flags of how images are looked up.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::parse;

/// How entrypoint and command of an image are found where a pod does not say its command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Images")]
pub struct ImageArgs {
    /// Architecture of most nodes: it counts where a pod does not ask for one
    #[arg(long, env = "KEYWARD_DEFAULT_ARCHITECTURE", default_value = parse::own_architecture(), value_name = "ARCH", value_parser = parse::architecture)]
    pub default_architecture: String,

    /// Registries that are spoken to without TLS
    #[arg(long, env = "KEYWARD_PLAIN_HTTP_REGISTRY", value_name = "HOST:PORT", value_delimiter = ',', value_parser = parse::trimmed)]
    pub plain_http_registry: Vec<String>,

    /// CA certificates in PEM that registries are trusted by, besides those of the system
    #[arg(long, env = "KEYWARD_REGISTRY_CA_FILE", value_name = "FILE")]
    pub registry_ca_file: Option<PathBuf>,

    /// How long one image may take; less than a review
    #[arg(long, env = "KEYWARD_IMAGE_DEADLINE", default_value = "8s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub image_deadline: Duration,

    /// Bound on the memory of image configurations, in bytes
    #[arg(long, env = "KEYWARD_IMAGE_CACHE_BYTES", default_value_t = 8 << 20, value_name = "BYTES")]
    pub image_cache_bytes: u64,

    /// As whom images in Azure Container Registry are looked up that no pull secret is for
    #[arg(long, env = "KEYWARD_ACR_IDENTITY", value_enum, default_value_t = AcrIdentityKind::None, value_name = "KIND")]
    pub acr_identity: AcrIdentityKind,

    /// Client ID of that identity; for managed-identity the machine's own if absent
    #[arg(long, env = "KEYWARD_ACR_CLIENT_ID", value_name = "ID", value_parser = parse::client_id)]
    pub acr_client_id: Option<String>,

    /// Domains of Azure Container Registry beyond azurecr.io, azurecr.cn and azurecr.us, or single registries
    #[arg(long, env = "KEYWARD_ACR_DOMAIN", value_name = "DOMAIN", value_delimiter = ',', value_parser = parse::trimmed)]
    pub acr_domain: Vec<String>,
}

/// An identity of the webhook's own, with AcrPull and nothing else; never one that reads vaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AcrIdentityKind {
    /// Pull secrets alone count
    None,
    /// The service account's, by workload identity federation
    WorkloadIdentity,
    /// The node's, by IMDS
    ManagedIdentity,
}
