//! The federated token of workload identity, read from its file at every sign-in.
//!
//! `azure_identity` has a `WorkloadIdentityCredential`, but it fails at construction where the file is not there yet,
//! keeps what it read for ten minutes and sends a trailing newline along.

use std::path::PathBuf;

use async_trait::async_trait;
use azure_core::{error::ErrorKind, http::ClientMethodOptions};
use azure_identity::ClientAssertion;
use tokio::io::AsyncReadExt;

/// Far above any token the API server signs.
const MAX_TOKEN: u64 = 64 * 1024;

/// A file that holds a federated token.
#[derive(Debug)]
pub(super) struct TokenFile(pub(super) PathBuf);

/// Why a file holds no federated token. Never quotes it.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// The file cannot be read.
    #[error("cannot read the federated token in {path}: {cause}; is the service account token projected there?")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The file is empty, too long or not a token.
    #[error("{path} holds no federated token")]
    NoToken {
        /// The file.
        path: PathBuf,
    },
}

impl TokenFile {
    async fn read(&self) -> Result<String, AssertionError> {
        let unreadable = |cause| AssertionError::Read { path: self.0.clone(), cause };
        let mut text = Vec::new();
        let file = tokio::fs::File::open(&self.0).await.map_err(unreadable)?;
        file.take(MAX_TOKEN + 1).read_to_end(&mut text).await.map_err(unreadable)?;
        let fits = u64::try_from(text.len()).is_ok_and(|length| length <= MAX_TOKEN);
        let token = String::from_utf8(text).unwrap_or_default();
        let token = token.trim();
        if token.is_empty() || !fits || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AssertionError::NoToken { path: self.0.clone() });
        }
        Ok(token.to_owned())
    }
}

#[async_trait]
impl ClientAssertion for TokenFile {
    async fn secret(&self, _options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.read().await.map_err(|error| azure_core::Error::new(ErrorKind::Credential, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_trimmed_and_read_anew_each_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let token = TokenFile(file.path().to_owned());
        for text in ["eyJ.first.sig\n", "eyJ.second.sig"] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(token.read().await.unwrap(), text.trim());
        }
    }

    #[tokio::test]
    async fn a_file_without_a_token_is_named_and_not_quoted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let long = "kwcanary".repeat(9000);
        for text in ["", "\n", "kwcanary two words", "kwcanary\nkwcanary", &long] {
            std::fs::write(file.path(), text).unwrap();
            let error = TokenFile(file.path().to_owned()).read().await.unwrap_err().to_string();
            assert!(error.contains(&file.path().display().to_string()) && !error.contains("kwcanary"), "{error}");
        }
        let error = TokenFile(PathBuf::from("/nonexistent/token")).read().await.unwrap_err().to_string();
        assert!(error.contains("/nonexistent/token"), "{error}");
    }
}
