//! Looks that this replica makes by itself.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{
    Refresh as _, Refresher,
    hints::{Look, Looks},
    round::Rounds,
};
use crate::{readers::Readers, vault::origin::Origin};

/// Rounds that hints have made at a time: operators wait in the same line.
const ROUNDS_AT_A_TIME: usize = 4;

/// Looks into the vaults that are open here.
pub(super) struct Here {
    rounds: Rounds,
    readers: Arc<Readers>,
    refresher: Refresher,
    places: Semaphore,
}

impl Here {
    pub(super) fn new(rounds: Rounds, readers: Arc<Readers>, refresher: Refresher) -> Self {
        Self { rounds, readers, refresher, places: Semaphore::new(ROUNDS_AT_A_TIME) }
    }
}

#[async_trait]
impl Looks for Here {
    async fn look(&self, vault: &Origin, look: Look) -> bool {
        match look {
            Look::Objects(names) => {
                let open: Vec<_> = self.readers.all().into_iter().filter(|open| open.id().origin == *vault).collect();
                let mut all = true;
                for vault in &open {
                    all &= self.rounds.look_at(vault, &names).await;
                }
                all
            }
            Look::Round => {
                // The semaphore is never closed.
                let _place = self.places.acquire().await;
                self.refresher.refresh(Some(vault)).await;
                // One that does not end well is the poller's to begin again.
                true
            }
        }
    }
}
