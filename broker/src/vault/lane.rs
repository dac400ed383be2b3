//! One SDK client, whose first call goes alone.
//!
//! An SDK client learns its token's scope from a 401 that its first call provokes. Callers that come together before
//! that would each provoke one; here they wait for the first, so a vault sees one 401 per client and no more.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::OwnedMutexGuard;

use crate::vault::credential::ScopedCredential;

type Open<C> = Box<dyn Fn(Arc<ScopedCredential>) -> azure_core::Result<C> + Send + Sync>;

/// The place of one SDK client.
pub(super) struct Lane<C> {
    credential: Box<dyn Fn() -> ScopedCredential + Send + Sync>,
    open: Open<C>,
    current: RwLock<Arc<Opened<C>>>,
}

struct Opened<C> {
    client: C,
    credential: Arc<ScopedCredential>,
    first: Arc<tokio::sync::Mutex<()>>,
}

/// The right to make one call; held until the call has ended.
pub(super) struct Turn<C> {
    opened: Arc<Opened<C>>,
    _alone: Option<OwnedMutexGuard<()>>,
}

impl<C> Lane<C> {
    /// Opens the client at once, so that a bad configuration is known at once; nothing is sent.
    pub(super) fn new(
        credential: impl Fn() -> ScopedCredential + Send + Sync + 'static,
        open: impl Fn(Arc<ScopedCredential>) -> azure_core::Result<C> + Send + Sync + 'static,
    ) -> azure_core::Result<Self> {
        let (credential, open): (_, Open<C>) = (Box::new(credential), Box::new(open));
        let current = RwLock::new(Arc::new(Opened::new(credential(), &open)?));
        Ok(Self { credential, open, current })
    }

    /// Waits for the right to call.
    pub(super) async fn enter(&self) -> azure_core::Result<Turn<C>> {
        let opened = self.usable()?;
        if opened.credential.has_signed_in() {
            return Ok(Turn { opened, _alone: None });
        }
        let alone = opened.first.clone().lock_owned().await;
        // Whoever queued behind the call that succeeded need not go alone any more.
        let alone = Some(alone).filter(|_| !opened.credential.has_signed_in());
        Ok(Turn { opened, _alone: alone })
    }

    /// Replaces the client by a new one. An SDK client keeps its token until shortly before its end and has no way to
    /// let go of it. Calls under way finish with the old one; the next call is challenged once.
    pub(super) fn reopen(&self) -> azure_core::Result<()> {
        let opened = Arc::new(Opened::new((self.credential)(), &self.open)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(())
    }

    /// The client, or a new one in place of one that a challenge has misled.
    fn usable(&self) -> azure_core::Result<Arc<Opened<C>>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        if !current.credential.was_misled() {
            return Ok(current);
        }
        let mut slot = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if slot.credential.was_misled() {
            *slot = Arc::new(Opened::new((self.credential)(), &self.open)?);
        }
        Ok(slot.clone())
    }
}

impl<C> Opened<C> {
    fn new(credential: ScopedCredential, open: &Open<C>) -> azure_core::Result<Self> {
        let credential = Arc::new(credential);
        Ok(Self { client: open(credential.clone())?, credential, first: Arc::default() })
    }
}

impl<C> Turn<C> {
    /// The client to call.
    pub(super) fn client(&self) -> &C {
        &self.opened.client
    }
}

#[cfg(test)]
mod tests {
    use azure_core::credentials::TokenCredential as _;

    use super::*;
    use crate::vault::credential::testing::Counting;

    #[tokio::test]
    async fn a_reopened_client_has_forgotten_its_token_and_calls_under_way_keep_theirs() {
        let identity = Counting::living(3_600).identity(std::time::Duration::ZERO);
        let lane = Lane::new(move || ScopedCredential::new(identity.clone()), Ok).unwrap();
        let before = lane.enter().await.unwrap();
        before.client().get_token(&["https://vault.azure.net/.default"], None).await.unwrap();

        lane.reopen().unwrap();
        let after = lane.enter().await.unwrap();
        assert!(before.client().has_signed_in() && !after.client().has_signed_in());
    }
}
