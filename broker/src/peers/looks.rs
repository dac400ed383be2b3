//! A hint is for whoever owns the vault: it alone asks the vault, and all others hear from it what has changed.

use std::sync::Arc;

use async_trait::async_trait;
use keyward_proto::v1::HintRequest;

use super::{Peers, links::Way, routes::Owner};
use crate::{
    poll::hints::{Look, Looks},
    vault::origin::Origin,
};

/// Looks at the vaults that this replica owns, and has the others' owners look.
pub(crate) struct AtOwner {
    peers: Arc<Peers>,
    here: Arc<dyn Looks>,
}

impl AtOwner {
    /// `here` looks by itself, whoever owns the vault.
    pub(crate) fn new(peers: Arc<Peers>, here: Arc<dyn Looks>) -> Self {
        Self { peers, here }
    }

    /// Whether all of it was told.
    async fn tell(&self, way: &Way, vault: &Origin, look: Look) -> bool {
        let names = match look {
            Look::Objects(names) => names.iter().map(ToString::to_string).collect(),
            Look::Round => vec![String::new()],
        };
        for name in names {
            let hint = HintRequest { vault: vault.to_string(), name };
            if let Err(status) = self.peers.hint(way, hint).await {
                tracing::warn!(%vault, reason = status.message(), "the vault's owner was not told of a hint");
                return false;
            }
        }
        true
    }
}

#[async_trait]
impl Looks for AtOwner {
    async fn look(&self, vault: &Origin, look: Look) -> bool {
        match self.peers.owner(&vault.to_string()) {
            Owner::Here => self.here.look(vault, look).await,
            Owner::There(_, way) => self.tell(&way, vault, look).await,
        }
    }
}
