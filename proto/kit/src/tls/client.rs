//! The client's side of TLS, from a directory as Kubernetes mounts a Secret, or from whoever makes certificates in this
//! process: whom to trust and what to show. Its owner looks again now and then, and makes new connections when there is
//! something else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

pub use super::dir::Fingerprint;
use super::dir::{Files, TlsError};

/// What a client needs to prove its role and to know its server: PEM texts of one moment.
pub struct ClientFiles {
    files: Files,
    fingerprint: Fingerprint,
}

/// Where they come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A directory, looked at now and then.
    Directory(Arc<Path>),
    /// Memory: nothing lies on a disk.
    Memory(watch::Receiver<Option<Arc<ClientFiles>>>),
}

/// What a directory would be called in errors.
const MEMORY: &str = "memory";

impl ClientFiles {
    /// Reads `tls.crt`, `tls.key` and `ca.crt`.
    pub fn read(directory: &Path) -> Result<Self, TlsError> {
        Self::checked(directory, Files::read(directory)?)
    }

    /// Of what was just made: certificate, private key and authorities, in PEM. The key is wiped when it is dropped.
    pub fn made(certificate: Vec<u8>, key: Vec<u8>, authorities: Vec<u8>) -> Result<Self, TlsError> {
        Self::checked(Path::new(MEMORY), Files { cert: certificate, key: key.into(), ca: authorities })
    }

    fn checked(directory: &Path, files: Files) -> Result<Self, TlsError> {
        let fingerprint = files.fingerprint();
        super::config::check_pair(directory, &files)?;
        Ok(Self { files, fingerprint })
    }

    /// The client's certificate, the chain below it.
    pub fn certificate(&self) -> &[u8] {
        &self.files.cert
    }

    /// Its private key.
    pub fn key(&self) -> &[u8] {
        &self.files.key
    }

    /// The authorities that may have signed the server's certificate.
    pub fn authorities(&self) -> &[u8] {
        &self.files.ca
    }

    /// Until when they are valid.
    pub fn expiry(&self, directory: &Path) -> Result<super::Expiry, TlsError> {
        super::Expiry::of(directory, &self.files)
    }

    /// Tells whether other files are the same, without keeping these.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl Source {
    /// What is there now; `None` where whoever makes certificates has made none.
    pub(super) fn read(&self) -> Result<Option<Arc<ClientFiles>>, TlsError> {
        match self {
            Self::Directory(directory) => ClientFiles::read(directory).map(|files| Some(Arc::new(files))),
            Self::Memory(made) => Ok(made.borrow().clone()),
        }
    }

    /// Returns when it is worth looking again.
    pub(super) async fn moved(&mut self, period: Duration) {
        match self {
            Self::Directory(_) => sleep(period).await,
            Self::Memory(made) => {
                if made.changed().await.is_err() {
                    // Whoever made them is gone: what there is stays.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> &Path {
        match self {
            Self::Directory(directory) => directory,
            Self::Memory(_) => Path::new(MEMORY),
        }
    }
}

impl From<PathBuf> for Source {
    fn from(directory: PathBuf) -> Self {
        Self::Directory(directory.into())
    }
}

impl std::fmt::Debug for ClientFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientFiles").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority, KubeletDir, Pair};
    use super::*;

    #[test]
    fn a_swap_is_another_identity_and_a_look_is_not() {
        let ca = Authority::new();
        let dir = KubeletDir::new(&ca.client("controller"), &[&ca]);
        let first = ClientFiles::read(dir.path()).unwrap();
        let again = || ClientFiles::read(dir.path()).unwrap().fingerprint();
        assert_eq!(first.fingerprint(), again());
        dir.swap(&ca.client("controller"), &[&ca]);
        assert_ne!(first.fingerprint(), again());
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_and_nothing_of_it_shown() {
        let ca = Authority::new();
        let mixed = Pair { cert: ca.client("controller").cert, key: ca.client("controller").key };
        let error = ClientFiles::read(KubeletDir::new(&mixed, &[&ca]).path()).unwrap_err();
        assert!(matches!(error, TlsError::Pair { .. }), "{error}");
        let good = ClientFiles::read(KubeletDir::new(&ca.client("controller"), &[&ca]).path()).unwrap();
        assert_eq!(format!("{good:?}"), "ClientFiles { .. }");
    }
}
