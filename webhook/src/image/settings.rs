//! How images are looked up. Plain data; flags are the command line's.

use std::{path::PathBuf, time::Duration};

/// Settings of [`Images`](super::Images).
#[derive(Clone, Debug)]
pub struct ImagesConfig {
    /// Which entry of a multi-platform image counts where the pod does not say: that of most nodes.
    pub default_architecture: String,
    /// Registries that are spoken to without TLS, each as images name it: `HOST` or `HOST:PORT`.
    pub plain_http: Vec<String>,
    /// CA certificates (PEM) trusted besides the system's. Read once, at start.
    pub extra_ca: Option<PathBuf>,
    /// Azure Container Registry beyond `azurecr.io`, `.cn` and `.us`: a domain of registries, or one registry. A port counts.
    pub acr_suffixes: Vec<String>,
    /// How long one answer may take in all; below the API server's patience with the webhook (10 s).
    pub deadline: Duration,
    /// What the remembered configurations may weigh in memory.
    pub cache_bytes: u64,
    /// How long one that nobody asks for is remembered.
    pub cache_idle: Duration,
    /// How long it stays proven that a namespace with its pull secrets may read what a tag points at, and what that is.
    pub proof: Duration,
    /// The same for images named by digest, which cannot come to mean another.
    pub proof_by_digest: Duration,
}

impl Default for ImagesConfig {
    fn default() -> Self {
        Self {
            default_architecture: "amd64".to_owned(),
            plain_http: Vec::new(),
            extra_ca: None,
            acr_suffixes: Vec::new(),
            deadline: Duration::from_secs(8),
            cache_bytes: 8 * 1024 * 1024,
            cache_idle: Duration::from_secs(24 * 3600),
            proof: Duration::from_secs(60),
            proof_by_digest: Duration::from_secs(300),
        }
    }
}

/// Why images cannot be looked up at all.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The file of extra CA certificates.
    #[error("{path}: {reason}; it holds CA certificates in PEM", path = path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An entry of a list of registries is none.
    #[error("`{entry}` is no registry: write HOST or HOST:PORT, without a scheme or a path")]
    Registry {
        /// As configured.
        entry: String,
    },
    /// The TLS library refuses.
    #[error("no HTTPS client for registries: {0}")]
    Client(#[from] reqwest::Error),
}

/// Lower-cases `HOST` or `HOST:PORT`; `entry` may begin with a dot.
pub(super) fn authority(entry: &str) -> Result<String, ImagesError> {
    let name = entry.trim().trim_start_matches('.').to_ascii_lowercase();
    let (host, port) = name.split_once(':').unwrap_or((&name, "443"));
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if host.is_empty() || !host.chars().all(fits) || port.parse::<u16>().is_err() {
        return Err(ImagesError::Registry { entry: entry.to_owned() });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_listed_by_host_and_port() {
        for (entry, expected) in [
            ("Registry.example", "registry.example"),
            ("registry:5000", "registry:5000"),
            (".acr.example", "acr.example"),
            ("127.0.0.1:80", "127.0.0.1:80"),
        ] {
            assert_eq!(authority(entry).unwrap(), expected);
        }
        for bad in ["", ".", "http://registry", "registry/path", "registry:port", "registry:70000", "*.example"] {
            assert!(authority(bad).unwrap_err().to_string().contains("HOST:PORT"), "{bad}");
        }
    }
}
