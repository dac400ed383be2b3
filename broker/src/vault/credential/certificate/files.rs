//! From files to a [`Signer`].

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{CertificateError, Signer};
use crate::vault::credential::{CertificateSource, SecretSource, SignInError, file};

const WHAT: &str = "client certificate";
const PASSWORD: &str = "password of the client certificate";

/// What was read, and not understood yet.
struct Content {
    bytes: Zeroizing<Vec<u8>>,
    password: Option<Zeroizing<String>>,
}

/// Reads certificate and key anew.
pub(in super::super) async fn read(source: &CertificateSource) -> Result<Signer, SignInError> {
    let (path, content) = match source {
        CertificateSource::File { path, password } => {
            let password = match password {
                Some(SecretSource::Held(password)) => {
                    Some(Zeroizing::new(password.expose_str().unwrap_or_default().to_owned()))
                }
                Some(SecretSource::File(path)) => Some(file::line(PASSWORD, path).await?),
                None => None,
            };
            (path, Content { bytes: file::bytes(WHAT, path).await?, password })
        }
        CertificateSource::Directory(directory) => (directory, in_directory(directory).await?),
    };
    let unusable = |cause| SignInError::Certificate { path: path.clone(), cause };
    // The derivation of a PFX's key takes milliseconds on purpose, too long for a worker that serves others.
    let signer = tokio::task::spawn_blocking(move || content.signer()).await;
    signer.map_err(|_| SignInError::Interrupted)?.map_err(unusable)
}

async fn in_directory(directory: &Path) -> Result<Content, SignInError> {
    let there = |name: &str| {
        let path: PathBuf = directory.join(name);
        async move { tokio::fs::try_exists(&path).await.unwrap_or(false).then_some(path) }
    };
    let Some(pfx) = there("client.pfx").await else {
        let certificate = file::bytes(WHAT, &directory.join("tls.crt")).await?;
        let key = file::bytes("key of the client certificate", &directory.join("tls.key")).await?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(certificate.len() + key.len() + 1));
        for part in [certificate.as_slice(), b"\n", key.as_slice()] {
            bytes.extend_from_slice(part);
        }
        return Ok(Content { bytes, password: None });
    };
    if there("tls.crt").await.is_some() {
        return Err(SignInError::Certificate { path: directory.to_owned(), cause: CertificateError::Both });
    }
    let password = match there("password").await {
        Some(path) => Some(file::line(PASSWORD, &path).await?),
        None => None,
    };
    Ok(Content { bytes: file::bytes(WHAT, &pfx).await?, password })
}

impl Content {
    fn signer(&self) -> Result<Signer, CertificateError> {
        let pem = b"-----BEGIN ";
        if self.bytes.windows(pem.len()).any(|window| window == pem) {
            return Signer::from_pem(&self.bytes);
        }
        Signer::from_pfx(&self.bytes, self.password.as_ref().map_or("", |password| password))
    }
}
