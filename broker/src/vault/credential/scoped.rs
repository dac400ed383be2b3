//! A credential that gives tokens for one audience only.
//!
//! The SDK asks for a token for whatever resource a vault's 401 names. Without this, a hostile endpoint could have one
//! issued for Azure's management API and sent to itself.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use azure_core::{
    Error,
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    time::OffsetDateTime,
};

use super::{Identity, identity::REFRESH_AHEAD};

/// A challenge named a resource that no token is given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its challenge asks for a token for another resource than Key Vault")]
pub(crate) struct ForeignScope;

/// The credential of one SDK client. Knows what the client did with its last token: an SDK client asks again early only
/// after a 401.
#[derive(Debug)]
pub(crate) struct ScopedCredential {
    identity: Arc<Identity>,
    last: Mutex<Option<Given>>,
    challenged_foreign: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    generation: u64,
    expires_on: OffsetDateTime,
}

impl ScopedCredential {
    /// Gives `identity`'s tokens for its audience and nothing else.
    pub(crate) fn new(identity: Arc<Identity>) -> Self {
        Self { identity, last: Mutex::new(None), challenged_foreign: AtomicBool::new(false) }
    }

    /// Whether a token was given: from then on the client knows its scope and needs no challenge.
    pub(crate) fn has_signed_in(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether a challenge named another resource. The client remembers that one and is of no more use.
    pub(crate) fn was_misled(&self) -> bool {
        self.challenged_foreign.load(Ordering::Relaxed)
    }

    /// The generation of the last token, where it was refused: it would have held for long, and yet here is the client
    /// again.
    fn refused(&self) -> Option<u64> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|given| given.expires_on > OffsetDateTime::now_utc() + REFRESH_AHEAD).map(|given| given.generation)
    }
}

#[async_trait]
impl TokenCredential for ScopedCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        if scopes != [self.identity.scope()] {
            self.challenged_foreign.store(true, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::Credential, ForeignScope));
        }
        let (generation, token) = self.identity.token(self.refused()).await?;
        let given = Given { generation, expires_on: token.expires_on };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(given);
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{identity::RENEWAL_PAUSE, testing::Counting},
        *,
    };

    const SCOPE: &[&str] = &["https://vault.azure.net/.default"];
    const HOUR: i64 = 3_600;

    fn identity(life: i64, pause: Duration) -> Arc<Identity> {
        Counting::living(life).identity(pause)
    }

    async fn token(credential: &ScopedCredential) -> String {
        credential.get_token(SCOPE, None).await.unwrap().token.secret().to_owned()
    }

    #[tokio::test]
    async fn no_scope_but_the_audience_s_own_is_given_a_token() {
        for scopes in [
            &["https://management.azure.com/.default"][..],
            &["https://vault.azure.net"],
            &["https://vault.azure.net/.default", "https://graph.microsoft.com/.default"],
            &["https://vault.azure.net/.default https://graph.microsoft.com/.default"],
            &[],
        ] {
            let credential = ScopedCredential::new(identity(HOUR, Duration::ZERO));
            assert!(credential.get_token(scopes, None).await.is_err(), "{scopes:?}");
            assert!(credential.was_misled() && !credential.has_signed_in());
        }
    }

    #[tokio::test]
    async fn a_client_that_comes_back_early_gets_a_fresh_token() {
        let credential = ScopedCredential::new(identity(HOUR, Duration::ZERO));
        for expected in ["1", "2", "3"] {
            assert_eq!(token(&credential).await, expected, "each one before was refused");
        }
    }

    #[tokio::test]
    async fn tokens_are_not_renewed_in_quick_succession() {
        let credential = ScopedCredential::new(identity(HOUR, RENEWAL_PAUSE));
        for expected in ["1", "2", "2"] {
            assert_eq!(token(&credential).await, expected);
        }
    }

    #[tokio::test]
    async fn a_client_that_comes_back_near_the_end_is_no_sign_of_a_refusal() {
        let credential = ScopedCredential::new(identity(240, RENEWAL_PAUSE));
        assert_eq!((token(&credential).await, token(&credential).await), ("1".to_owned(), "1".to_owned()));
    }

    #[tokio::test]
    async fn other_clients_of_an_identity_profit_from_a_renewal() {
        let identity = identity(HOUR, Duration::ZERO);
        let [one, two] = [(); 2].map(|()| ScopedCredential::new(identity.clone()));
        assert_eq!((token(&one).await, token(&two).await), ("1".to_owned(), "1".to_owned()));
        assert_eq!((token(&one).await, token(&two).await), ("2".to_owned(), "2".to_owned()));
    }
}
