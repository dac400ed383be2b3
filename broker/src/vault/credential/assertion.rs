//! The federated token of workload identity, read from its file at every sign-in.
//!
//! `azure_identity` has a `WorkloadIdentityCredential`, but it fails at construction where the file is not there yet,
//! keeps what it read for ten minutes and sends a trailing newline along.

use std::path::PathBuf;

use async_trait::async_trait;
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;

use super::{SignInError, file};

const WHAT: &str = "federated token";

/// A file that holds a federated token.
#[derive(Debug)]
pub(super) struct TokenFile(pub(super) PathBuf);

impl TokenFile {
    async fn read(&self) -> Result<String, SignInError> {
        let content = file::bytes(WHAT, &self.0).await?;
        let token = std::str::from_utf8(&content).unwrap_or_default().trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SignInError::Nothing { what: WHAT, path: self.0.clone() });
        }
        Ok(token.to_owned())
    }
}

#[async_trait]
impl ClientAssertion for TokenFile {
    async fn secret(&self, _options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.read().await?)
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
        for text in ["", "\n", "kwcanary two words", "kwcanary\nkwcanary"] {
            std::fs::write(file.path(), text).unwrap();
            let error = TokenFile(file.path().to_owned()).read().await.unwrap_err().to_string();
            assert!(error.contains(&file.path().display().to_string()) && !error.contains("kwcanary"), "{error}");
        }
        let error = TokenFile(PathBuf::from("/nonexistent/token")).read().await.unwrap_err().to_string();
        assert!(error.contains("/nonexistent/token"), "{error}");
    }
}
