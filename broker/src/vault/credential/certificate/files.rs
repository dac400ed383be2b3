//! From files to a [`Signer`].

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{CertificateError, Signer};
use crate::vault::credential::{CertificateSource, SecretSource, SignInError, Stored, file, store};

const WHAT: &str = "client certificate";
const KEY: &str = "key of the client certificate";
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
                Some(SecretSource::Stored(stored)) => {
                    Some(store::take_line(&mut stored.read().await?, "password", PASSWORD, stored)?)
                }
                None => None,
            };
            (path.clone(), Content { bytes: file::bytes(WHAT, path).await?, password })
        }
        CertificateSource::Directory(directory) => (directory.clone(), in_directory(directory).await?),
        CertificateSource::Stored(stored) => (stored.place(), in_store(stored).await?),
    };
    let unusable = |cause| SignInError::Certificate { path, cause };
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
        return Ok(pair(&certificate, &file::bytes(KEY, &directory.join("tls.key")).await?));
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

async fn in_store(stored: &Stored) -> Result<Content, SignInError> {
    let mut files = stored.read().await?;
    if !files.contains_key("client.pfx") {
        let certificate = store::take(&mut files, "tls.crt", WHAT, stored)?;
        return Ok(pair(&certificate, &store::take(&mut files, "tls.key", KEY, stored)?));
    }
    if files.contains_key("tls.crt") {
        return Err(SignInError::Certificate { path: stored.place(), cause: CertificateError::Both });
    }
    let password = if files.contains_key("password") {
        Some(store::take_line(&mut files, "password", PASSWORD, stored)?)
    } else {
        None
    };
    Ok(Content { bytes: store::take(&mut files, "client.pfx", WHAT, stored)?, password })
}

/// A certificate and its key, as one file holds them.
fn pair(certificate: &[u8], key: &[u8]) -> Content {
    let mut bytes = Zeroizing::new(Vec::with_capacity(certificate.len() + key.len() + 1));
    for part in [certificate, b"\n", key] {
        bytes.extend_from_slice(part);
    }
    Content { bytes, password: None }
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
