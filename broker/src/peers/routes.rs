//! To whoever owns a key: a vault's origin, or a pod's UID.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use keyward_proto::v1::{
    CheckVaultsRequest, EntrustRequest, HintRequest, RedeemRequest, RedeemResponse, RedeemedStart, RefreshedVault,
};
use tonic::{Request, Status};

use super::{Peers, link::client, links::Way, member::MemberId};

/// For an answer from memory, or one that costs a look at the API server.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// For a check of vaults. What asks for it waits no longer either.
const CHECKED_WITHIN: Duration = Duration::from_secs(60);
/// Records of one message.
const STARTS: usize = 1_000;

/// Records of what pods' containers were given. Each pod's are kept by the replica that owns its UID.
#[async_trait]
pub trait PodRecords: Send + Sync {
    /// Decides, and records what is granted: for a pod that this replica owns, or that another one takes to be its.
    async fn redeem(&self, request: RedeemRequest) -> Result<RedeemResponse, Status>;

    /// Takes over what another replica has recorded.
    async fn entrust(&self, starts: Vec<RedeemedStart>) -> Result<(), Status>;
}

/// Who owns a key.
#[derive(Clone, Debug)]
pub enum Owner {
    /// This replica, as far as it knows, or nobody who can be reached.
    Here,
    /// Another one.
    There(MemberId, Way),
}

impl Peers {
    /// Who owns `key`.
    pub fn owner(&self, key: &str) -> Owner {
        let owner = self.board.standing().owner(key);
        if owner == self.own() {
            return Owner::Here;
        }
        self.links.to(owner).map_or(Owner::Here, |way| Owner::There(owner, way))
    }

    /// Asks the owner of the pod; `None` where that is this replica. Who gets no answer may ask again: the next owner is known
    /// within a second.
    pub async fn redeem(&self, request: &RedeemRequest) -> Option<Result<RedeemResponse, Status>> {
        let Owner::There(_, way) = self.owner(&request.pod_uid) else { return None };
        let answer = client(&way.connection).redeem(within(ANSWER_WITHIN, request.clone())).await;
        Some(answer.map(tonic::Response::into_inner))
    }

    /// Hands records over to those who own their pods now; what is this replica's own, or could not be handed over, comes back.
    pub async fn entrust(&self, starts: Vec<RedeemedStart>) -> Vec<RedeemedStart> {
        let mut kept = Vec::new();
        let mut theirs: HashMap<MemberId, (Way, Vec<RedeemedStart>)> = HashMap::new();
        for start in starts {
            match self.owner(&start.pod_uid) {
                Owner::Here => kept.push(start),
                Owner::There(id, way) => theirs.entry(id).or_insert_with(|| (way, Vec::new())).1.push(start),
            }
        }
        for (way, starts) in theirs.into_values() {
            for part in starts.chunks(STARTS) {
                let request = within(ANSWER_WITHIN, EntrustRequest { starts: part.to_vec() });
                if let Err(status) = client(&way.connection).entrust(request).await {
                    tracing::warn!(reason = status.message(), records = part.len(), "records are not handed over");
                    kept.extend_from_slice(part);
                }
            }
        }
        kept
    }

    /// Has `vaults`, by origin, compared by the replica at the end of `way`.
    pub async fn check(&self, way: &Way, vaults: Vec<String>) -> Result<Vec<RefreshedVault>, Status> {
        let request = within(CHECKED_WITHIN, CheckVaultsRequest { vaults });
        client(&way.connection).check(request).await.map(|answer| answer.into_inner().vaults)
    }

    /// Tells the replica at the end of `way` that something may have changed.
    pub async fn hint(&self, way: &Way, hint: HintRequest) -> Result<(), Status> {
        client(&way.connection).hint(within(ANSWER_WITHIN, hint)).await.map(drop)
    }
}

pub(super) fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}
