//! An application signs in at Entra, through `azure_identity`.
//!
//! Its credentials keep their tokens and make callers queue; so each sign-in gets a new one, and
//! [`Identity`](super::Identity) keeps the token.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    cloud::CustomConfiguration,
    credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions},
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions,
};
use zeroize::Zeroizing;

use super::{
    Application, CertificateSource, SecretSource, SignInError,
    assertion::TokenFile,
    certificate::{self, SignedAssertion},
    file, store,
};
use crate::vault::origin::Origin;

/// How an application proves itself.
#[derive(Debug)]
pub(super) enum Proof {
    TokenFile(std::path::PathBuf),
    Secret(SecretSource),
    Certificate { source: CertificateSource, send_chain: bool },
}

/// An application at an authority.
#[derive(Debug)]
pub(super) struct Entra {
    pub(super) application: Application,
    pub(super) authority: Origin,
    pub(super) transport: Transport,
    pub(super) proof: Proof,
}

impl Entra {
    async fn asserted(
        &self,
        assertion: impl ClientAssertion + 'static,
        scopes: &[&str],
    ) -> azure_core::Result<AccessToken> {
        let Application { tenant_id, client_id } = self.application.clone();
        let options = ClientAssertionCredentialOptions { client_options: self.options() };
        ClientAssertionCredential::new(tenant_id, client_id, assertion, Some(options))?.get_token(scopes, None).await
    }

    async fn by_secret(&self, source: &SecretSource, scopes: &[&str]) -> azure_core::Result<AccessToken> {
        let Application { tenant_id, client_id } = self.application.clone();
        let secret = read(source).await?;
        let options = ClientSecretCredentialOptions { client_options: self.options() };
        let secret = Secret::new(secret.as_str().to_owned());
        ClientSecretCredential::new(&tenant_id, client_id, secret, Some(options))?.get_token(scopes, None).await
    }

    async fn signed(&self, source: &CertificateSource, send_chain: bool) -> Result<SignedAssertion, SignInError> {
        let Application { tenant_id, client_id } = self.application.clone();
        let signer = certificate::read(source).await?;
        let audience = format!("{}/{tenant_id}/oauth2/v2.0/token", self.authority);
        Ok(SignedAssertion { signer, client_id, audience, send_chain })
    }

    fn options(&self) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = self.authority.to_string();
        ClientOptions {
            transport: Some(self.transport.clone()),
            retry: RetryOptions::none(),
            cloud: Some(Arc::new(cloud.into())),
            ..ClientOptions::default()
        }
    }
}

async fn read(source: &SecretSource) -> Result<Zeroizing<String>, SignInError> {
    match source {
        SecretSource::File(path) => file::line("client secret", path).await,
        SecretSource::Stored(stored) => {
            store::take_line(&mut stored.read().await?, "client-secret", "client secret", stored)
        }
        SecretSource::Held(secret) => Ok(Zeroizing::new(secret.expose_str().unwrap_or_default().to_owned())),
    }
}

#[async_trait]
impl TokenCredential for Entra {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        match &self.proof {
            Proof::TokenFile(path) => self.asserted(TokenFile(path.clone()), scopes).await,
            Proof::Secret(source) => self.by_secret(source, scopes).await,
            Proof::Certificate { source, send_chain } => {
                self.asserted(self.signed(source, *send_chain).await?, scopes).await
            }
        }
    }
}
