//! What a rustls server is made of here: TLS 1.3, one protocol, ring, client certificates optional.
//!
//! Optional, because launchers prove themselves with a token and have no certificate. What a certificate allows is
//! decided per method, by [`super::role`]; one that `ca.crt` did not sign fails the handshake.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::dir::{Files, TlsError};

/// What is spoken inside. A client that offers protocols and not this one is refused; one that offers none is taken at
/// its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2, for gRPC.
    Http2,
    /// HTTP/1.1, for the API server's webhooks: it asks for nothing else, so that its connections spread over replicas.
    Http11,
}

impl Alpn {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Http2 => b"h2",
            Self::Http11 => b"http/1.1",
        }
    }
}

pub(super) fn server(directory: &Path, files: &Files, alpn: Alpn) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let (chain, key) = pair(directory, files)?;
    let verifier = client_verifier(directory, files, provider.clone())?;
    let unusable = |source| TlsError::Pair { directory: directory.to_owned(), source };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![alpn.name().to_vec()];
    Ok(Arc::new(config))
}

fn pair(directory: &Path, files: &Files) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = certificates(directory, "tls.crt", &files.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&files.key)
        .map_err(|_| TlsError::Empty { path: directory.join("tls.key"), what: "private key" })?;
    Ok((chain, key))
}

/// Whether certificate and key belong together, and there is an authority.
pub(super) fn check_pair(directory: &Path, files: &Files) -> Result<(), TlsError> {
    let (chain, key) = pair(directory, files)?;
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map_err(|source| TlsError::Pair { directory: directory.to_owned(), source })?;
    certificates(directory, "ca.crt", &files.ca).map(drop)
}

fn client_verifier(
    directory: &Path,
    files: &Files,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let refused = |reason: String| TlsError::Authority { directory: directory.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for root in certificates(directory, "ca.crt", &files.ca)? {
        roots.add(root).map_err(|error| refused(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| refused(error.to_string()))
}

pub(super) fn certificates(directory: &Path, name: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let empty = || TlsError::Empty { path: directory.join(name), what: "certificate" };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| empty())?;
    if found.is_empty() { Err(empty()) } else { Ok(found) }
}
