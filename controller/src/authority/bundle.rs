//! The authority as it is published: the certificates in the directory's `ca.crt`, and nothing else of that file.

use std::{fmt::Write as _, path::PathBuf, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_kit::tls::{TlsError, client::ClientFiles};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{sync::watch, task::spawn_blocking};

/// The kubelet takes a minute or more to bring a new one; looking is cheap.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// As long as a line of PEM is.
const LINE: usize = 64;

/// Certificates in PEM. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle(Arc<str>);

/// Why there is nothing to publish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    /// The directory.
    #[error("--tls-dir: {0}")]
    Files(#[from] TlsError),
    /// Its `ca.crt`.
    #[error("ca.crt of --tls-dir holds what is no PEM")]
    Pem,
    /// Its `ca.crt`.
    #[error("ca.crt of --tls-dir holds no certificate")]
    Empty,
}

impl Bundle {
    /// Of a file's content. What else is in it, a key by mistake, is never published.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, BundleError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
        let certificates = certificates.map_err(|_| BundleError::Pem)?;
        if certificates.is_empty() {
            Err(BundleError::Empty)
        } else {
            Ok(Self::of(certificates.iter().map(AsRef::as_ref)))
        }
    }

    /// Of certificates (DER).
    pub(crate) fn of<'a>(certificates: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut text = String::new();
        for certificate in certificates {
            text.push_str("-----BEGIN CERTIFICATE-----\n");
            let encoded = STANDARD.encode(certificate);
            for start in (0..encoded.len()).step_by(LINE) {
                // Base64 is ASCII: every place is between two characters.
                let line = &encoded[start..encoded.len().min(start + LINE)];
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{line}");
            }
            text.push_str("-----END CERTIFICATE-----\n");
        }
        Self(text.into())
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the directory holds, looked at again and again.
pub(super) struct Follower {
    directory: PathBuf,
    publish: watch::Sender<Option<Bundle>>,
    told: String,
}

impl Follower {
    /// Whoever listens to `publish` has what the directory held last that could be used.
    pub(super) fn new(directory: PathBuf, publish: watch::Sender<Option<Bundle>>) -> Self {
        Self { directory, publish, told: String::new() }
    }

    /// Never ends. Calls `changed` whenever there is something else.
    pub(super) async fn run<F: Future<Output = ()>>(mut self, changed: impl Fn() -> F) {
        loop {
            if self.look().await {
                changed().await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether there is something else.
    async fn look(&mut self) -> bool {
        let directory = self.directory.clone();
        let read = spawn_blocking(move || Bundle::parse(ClientFiles::read(&directory)?.authorities())).await;
        match read {
            Ok(Ok(bundle)) => {
                self.told.clear();
                return self.publish.send_if_modified(|published| {
                    let is_new = published.as_ref() != Some(&bundle);
                    *published = Some(bundle);
                    is_new
                });
            }
            // Whoever waits for certificates says so.
            Ok(Err(BundleError::Files(TlsError::Missing { .. }))) => {}
            Ok(Err(error)) if self.told != error.to_string() => {
                tracing::error!(%error, "the authority is not read; the one that is published stays");
                self.told = error.to_string();
            }
            Ok(Err(_)) => {}
            Err(error) => tracing::error!(%error, "reading the authority broke off"),
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use keyward_tests::ca::TestCa;

    use super::*;

    #[tokio::test]
    async fn another_authority_is_noticed_and_what_cannot_be_used_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (publish, published) = watch::channel(None);
        let mut follower = Follower::new(directory.path().to_owned(), publish);
        assert!(!follower.look().await);
        let mut texts = Vec::new();
        for _ in 0..2 {
            let issued = TestCa::new("keyward").unwrap().issue_role("controller", "example.org").unwrap();
            issued.write_dir(directory.path()).unwrap();
            assert!(follower.look().await && !follower.look().await);
            texts.push(published.borrow().clone().unwrap());
            assert_eq!(texts.last(), Bundle::parse(issued.ca_pem.as_bytes()).ok().as_ref());
        }
        assert_ne!(texts[0], texts[1]);
        std::fs::write(directory.path().join("ca.crt"), "nothing").unwrap();
        assert!(!follower.look().await);
        assert_eq!(published.borrow().as_ref(), texts.last());
    }

    fn pem(label: &str, content: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(content))
    }

    #[test]
    fn certificates_are_published_and_nothing_beside_them() {
        let (one, two) = (pem("CERTIFICATE", &[1; 50]), pem("CERTIFICATE", &[2; 20]));
        let key = pem("PRIVATE KEY", b"kwcanary");
        let bundle = Bundle::parse(format!("# a comment\r\n{one}{key}\n{two}").as_bytes()).unwrap();
        let lines: Vec<&str> = bundle.as_str().lines().collect();
        assert_eq!(lines.iter().map(|line| line.len()).collect::<Vec<_>>(), [27, 64, 4, 25, 27, 28, 25]);
        assert!(bundle.as_str().ends_with(&two) && !bundle.as_str().contains("KEY"));
        assert_eq!(Bundle::parse(bundle.as_str().as_bytes()).unwrap(), bundle);
    }

    #[test]
    fn what_holds_no_certificate_is_not_published() {
        for content in ["", "text", &pem("PRIVATE KEY", b"kwcanary")] {
            assert!(matches!(Bundle::parse(content.as_bytes()), Err(BundleError::Empty)), "{}", content.len());
        }
        let torn = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(Bundle::parse(torn.as_bytes()), Err(BundleError::Pem)));
    }
}
