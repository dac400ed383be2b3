//! The HTTPS client below [`Pinned`](super::Pinned): which roots it trusts, how long it waits.
//!
//! `HTTPS_PROXY` and its kin are ignored on purpose: the environment of a process that carries bearer tokens must not
//! be able to redirect them. Redirects are not followed for the same reason; Key Vault sends none.

use std::{path::PathBuf, time::Duration};

use reqwest::{Certificate, redirect};

const CONNECT: Duration = Duration::from_secs(5);

/// Connections kept open for the next call, and for how long: a vault is asked in bursts, at start and when it is polled.
const IDLE_CONNECTIONS: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(30);

/// Whose certificates are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The system's.
    #[default]
    System,
    /// The system's, and those in this PEM file: a private endpoint or an inspecting proxy beside Azure.
    SystemAnd(PathBuf),
    /// Only those in this PEM file: an emulator.
    Only(PathBuf),
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The file of certificates cannot be read.
    #[error("cannot read the CA certificates in {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The file holds no certificate.
    #[error("{path} holds no PEM certificate (-----BEGIN CERTIFICATE-----)")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The TLS library refuses the configuration.
    #[error("no HTTPS client can be built: {0}")]
    Tls(#[from] reqwest::Error),
}

/// Builds a client whose every call, body included, ends within `timeout`.
pub fn http_client(roots: &Roots, timeout: Duration) -> Result<reqwest::Client, HttpClientError> {
    Ok(bounded(roots, timeout)?.https_only(true).build()?)
}

/// The same for endpoints on this machine, which speak plain HTTP too: whoever uses it has looked at the address.
pub(crate) fn local_client(roots: &Roots, timeout: Duration) -> Result<reqwest::Client, HttpClientError> {
    Ok(bounded(roots, timeout)?.build()?)
}

fn bounded(roots: &Roots, timeout: Duration) -> Result<reqwest::ClientBuilder, HttpClientError> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT.min(timeout))
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_FOR)
        .timeout(timeout);
    Ok(match roots {
        Roots::System => builder,
        Roots::SystemAnd(path) => builder.tls_certs_merge(certificates(path)?),
        Roots::Only(path) => builder.tls_certs_only(certificates(path)?),
    })
}

fn certificates(path: &PathBuf) -> Result<Vec<Certificate>, HttpClientError> {
    let pem = std::fs::read(path).map_err(|cause| HttpClientError::Read { path: path.clone(), cause })?;
    let certificates = Certificate::from_pem_bundle(&pem)?;
    if certificates.is_empty() { Err(HttpClientError::Empty { path: path.clone() }) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = http_client(&Roots::Only(file.path().to_owned()), CONNECT).unwrap_err().to_string();
        assert!(error.contains(&file.path().display().to_string()) && error.contains("no PEM certificate"), "{error}");

        let gone = PathBuf::from("/nonexistent/ca.pem");
        let error = http_client(&Roots::SystemAnd(gone), CONNECT).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/ca.pem"), "{error}");
    }
}
