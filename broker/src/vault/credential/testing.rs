//! Sources of tokens for the tests of this room.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    time::{Duration as Span, OffsetDateTime},
};
use tokio::sync::Semaphore;

use super::{Identity, Named};

/// Gives the tokens `1`, `2`, … while it works.
#[derive(Debug)]
pub(in crate::vault) struct Counting {
    life: Span,
    asked: AtomicU64,
    broken: AtomicBool,
    gate: Semaphore,
}

impl Counting {
    /// Tokens that hold for that many seconds, at once.
    pub(in crate::vault) fn living(seconds: i64) -> Arc<Self> {
        let gate = Semaphore::new(Semaphore::MAX_PERMITS);
        Arc::new(Self { life: Span::seconds(seconds), asked: 0.into(), broken: false.into(), gate })
    }

    /// Tokens that come only as [`Counting::let_through`] says.
    pub(in crate::vault) fn gated(seconds: i64) -> Arc<Self> {
        let gate = Semaphore::new(0);
        Arc::new(Self { life: Span::seconds(seconds), asked: 0.into(), broken: false.into(), gate })
    }

    pub(in crate::vault) fn let_through(&self, sign_ins: usize) {
        self.gate.add_permits(sign_ins);
    }

    pub(in crate::vault) fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    pub(in crate::vault) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub(in crate::vault) fn identity(self: &Arc<Self>, pause: Duration) -> Arc<Identity> {
        let audience = "https://vault.azure.net";
        let named = Named { kind: "managed", tenant_id: None, client_id: None, audience: audience.to_owned() };
        Arc::new(Identity::renewed_each(pause, named, audience, self.clone()))
    }
}

#[async_trait]
impl TokenCredential for Counting {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.gate.acquire().await.unwrap().forget();
        if self.broken.load(Ordering::SeqCst) {
            return Err(azure_core::Error::with_message(ErrorKind::Connection, "kwcanary: down"));
        }
        Ok(AccessToken::new(number.to_string(), OffsetDateTime::now_utc() + self.life))
    }
}
