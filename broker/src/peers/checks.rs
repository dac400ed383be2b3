//! Checks of vaults, had by whoever owns them: an operator, or an event, may come to any replica.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use futures::future::join_all;
use keyward_proto::v1::RefreshedVault;

use super::{Peers, links::Way, member::MemberId, routes::Owner};
use crate::{
    poll::{Refresh, Refreshed},
    readers::Readers,
    vault::origin::Origin,
};

/// Has vaults checked, here or elsewhere.
pub struct Checks {
    /// The other replicas.
    pub peers: Arc<Peers>,
    /// Which vaults are open here: what is open at their owner is open here too.
    pub readers: Arc<Readers>,
    /// Checks the vaults of this replica.
    pub local: Arc<dyn Refresh>,
}

#[async_trait]
impl Refresh for Checks {
    async fn refresh(&self, vault: Option<&Origin>) -> Vec<Refreshed> {
        let wanted: BTreeSet<Origin> = match vault {
            Some(vault) => BTreeSet::from([vault.clone()]),
            None => self.readers.all().iter().map(|open| open.id().origin.clone()).collect(),
        };
        let (mut own, mut theirs) = (Vec::new(), HashMap::<MemberId, (Way, Vec<Origin>)>::new());
        for origin in wanted {
            match self.peers.owner(&origin.to_string()) {
                Owner::Here => own.push(origin),
                Owner::There(id, way) => theirs.entry(id).or_insert_with(|| (way, Vec::new())).1.push(origin),
            }
        }
        let here = join_all(own.iter().map(|origin| self.local.refresh(Some(origin))));
        let there = join_all(theirs.into_values().map(|(way, origins)| self.elsewhere(way, origins)));
        let (here, there) = tokio::join!(here, there);
        here.into_iter().chain(there).flatten().collect()
    }
}

impl Checks {
    async fn elsewhere(&self, way: Way, origins: Vec<Origin>) -> Vec<Refreshed> {
        let names = origins.iter().map(Origin::to_string).collect();
        match self.peers.check(&way, names).await {
            Ok(checked) => checked.into_iter().filter_map(refreshed).collect(),
            Err(status) => {
                let error = format!("the replica that polls it gave no answer: {}", status.message());
                let failed = |vault| Refreshed { vault, checked: 0, changed: 0, error: Some(error.clone()) };
                origins.into_iter().map(failed).collect()
            }
        }
    }
}

fn refreshed(told: RefreshedVault) -> Option<Refreshed> {
    let RefreshedVault { vault, checked, changed, error } = told;
    let vault = Origin::parse(&vault).ok()?;
    Some(Refreshed { vault, checked, changed, error: Some(error).filter(|error| !error.is_empty()) })
}
