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
    time::{Duration, OffsetDateTime},
};

use super::Identity;

/// From this long before a token's end the SDK asks for the next one of its own accord.
const REFRESH_AHEAD: Duration = Duration::minutes(5);

/// A challenge named a resource that no token is given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its challenge asks for a token for another resource than Key Vault")]
pub(crate) struct ForeignScope;

/// The credential of one SDK client. Knows what the client did with its last token: an SDK client asks again early only
/// after a 401.
#[derive(Debug)]
pub(crate) struct ScopedCredential {
    scope: String,
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
    /// Gives `identity`'s tokens for `audience` and nothing else.
    pub(crate) fn new(audience: &str, identity: Arc<Identity>) -> Self {
        let scope = format!("{audience}/.default");
        Self { scope, identity, last: Mutex::new(None), challenged_foreign: AtomicBool::new(false) }
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
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        if scopes != [self.scope.as_str()] {
            self.challenged_foreign.store(true, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::Credential, ForeignScope));
        }
        if let Some(generation) = self.refused() {
            self.identity.renew(generation);
        }
        let (generation, credential) = self.identity.current();
        let token = credential.get_token(scopes, options).await?;
        let given = Given { generation, expires_on: token.expires_on };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(given);
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::{super::identity::RENEWAL_PAUSE, *};

    const NO_PAUSE: std::time::Duration = std::time::Duration::ZERO;
    const AUDIENCE: &str = "https://vault.azure.net";
    const SCOPE: &[&str] = &["https://vault.azure.net/.default"];

    /// Like `azure_identity`'s: one token for its whole life.
    #[derive(Debug)]
    struct Fixed {
        token: String,
        life: Duration,
    }

    #[async_trait]
    impl TokenCredential for Fixed {
        async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
            Ok(AccessToken::new(self.token.clone(), OffsetDateTime::now_utc() + self.life))
        }
    }

    fn identity(life: Duration, pause: std::time::Duration) -> Arc<Identity> {
        let count = AtomicUsize::new(0);
        let build = Box::new(move || {
            let token = count.fetch_add(1, Ordering::Relaxed).to_string();
            Ok(Arc::new(Fixed { token, life }) as Arc<dyn TokenCredential>)
        });
        Arc::new(Identity::built_by(build, pause).unwrap())
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
            let credential = ScopedCredential::new(AUDIENCE, identity(Duration::HOUR, NO_PAUSE));
            assert!(credential.get_token(scopes, None).await.is_err(), "{scopes:?}");
            assert!(credential.was_misled() && !credential.has_signed_in());
        }
    }

    #[tokio::test]
    async fn a_client_that_comes_back_early_gets_a_fresh_token() {
        let credential = ScopedCredential::new(AUDIENCE, identity(Duration::HOUR, NO_PAUSE));
        for expected in ["0", "1", "2"] {
            assert_eq!(token(&credential).await, expected, "each one before was refused");
        }
    }

    #[tokio::test]
    async fn tokens_are_not_renewed_in_quick_succession() {
        let credential = ScopedCredential::new(AUDIENCE, identity(Duration::HOUR, RENEWAL_PAUSE));
        for expected in ["0", "1", "1"] {
            assert_eq!(token(&credential).await, expected);
        }
    }

    #[tokio::test]
    async fn a_client_that_comes_back_near_the_end_is_no_sign_of_a_refusal() {
        let credential = ScopedCredential::new(AUDIENCE, identity(Duration::minutes(4), NO_PAUSE));
        assert_eq!((token(&credential).await, token(&credential).await), ("0".to_owned(), "0".to_owned()));
    }

    #[tokio::test]
    async fn other_clients_of_an_identity_profit_from_a_renewal() {
        let identity = identity(Duration::HOUR, NO_PAUSE);
        let [one, two] = [(); 2].map(|()| ScopedCredential::new(AUDIENCE, identity.clone()));
        assert_eq!((token(&one).await, token(&two).await), ("0".to_owned(), "0".to_owned()));
        assert_eq!((token(&one).await, token(&two).await), ("1".to_owned(), "1".to_owned()));
    }
}
