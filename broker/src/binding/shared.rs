//! Records that replicas share: each pod's are kept by the replica that owns its UID, whichever replica its launcher asks.
//!
//! Whoever is asked reads the pod, and tells the owner what it shows: one read for a launch, however many replicas there are.
//! When pods get another owner, because a replica comes or is about to go, their records are handed to it. Those of one that
//! was killed are lost.

use std::sync::Arc;

use async_trait::async_trait;
use keyward_proto::v1::{RedeemRequest, RedeemResponse, RedeemedStart};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{
    ledger::{Redemption, Verdict},
    redemptions::{Own, Redemptions, Unreachable},
    wire,
};
use crate::{
    grpc::errors,
    peers::{Peers, routes::PodRecords, view::Standing},
};

/// The records of all replicas, as one of them sees them.
pub struct Shared {
    own: Arc<Own>,
    peers: Arc<Peers>,
}

impl Shared {
    /// `own` are those of this process.
    pub fn new(own: Arc<Own>, peers: Arc<Peers>) -> Self {
        Self { own, peers }
    }

    /// Hands records over to those who own their pods, whenever that changes, until `shutdown`, and then once more.
    pub async fn keep(&self, shutdown: CancellationToken) {
        let mut changes = self.peers.board.watch();
        let mut lost = self.peers.board.lost();
        loop {
            let goes_on = matches!(shutdown.run_until_cancelled(changes.changed()).await, Some(Ok(())));
            let standing = changes.borrow_and_update().clone();
            if self.peers.board.lost() > lost {
                lost = self.peers.board.lost();
                self.own.doubt();
            }
            self.hand_over(&standing).await;
            if !goes_on {
                return;
            }
        }
    }

    /// What is here and another one's. Some of it that one has already: what has moved while earlier records were handed over, or
    /// could not be, is found no other way, and to be told again changes nothing.
    async fn hand_over(&self, standing: &Standing) {
        let moved: Vec<_> = self.own.hand_over(|uid| !standing.owns(uid)).into_iter().map(wire::of_handed).collect();
        if moved.is_empty() {
            return;
        }
        let records = moved.len();
        let kept = self.peers.entrust(moved).await.len();
        tracing::debug!(records, kept, "records of pods are handed over");
    }
}

#[async_trait]
impl Redemptions for Shared {
    async fn redeem(&self, redemption: &Redemption) -> Result<Verdict, Unreachable> {
        match self.peers.redeem(&wire::of_redemption(redemption)).await {
            None => Ok(self.own.decide(redemption)),
            Some(Ok(response)) => {
                wire::to_verdict(response).ok_or_else(|| Unreachable("its answer makes no sense".to_owned()))
            }
            // It binds no pods, as while that is being switched on: then each keeps its own.
            Some(Err(status)) if status.code() == Code::FailedPrecondition => Ok(self.own.decide(redemption)),
            Some(Err(status)) => Err(Unreachable(status.message().to_owned())),
        }
    }
}

/// What other replicas ask of this one. It answers by its own records whomever it takes for the owner: nothing goes in circles.
#[async_trait]
impl PodRecords for Own {
    async fn redeem(&self, request: RedeemRequest) -> Result<RedeemResponse, Status> {
        let redemption = wire::to_redemption(request).ok_or_else(|| errors::invalid("it is no redemption"))?;
        Ok(wire::of_verdict(self.decide(&redemption)))
    }

    async fn entrust(&self, starts: Vec<RedeemedStart>) -> Result<(), Status> {
        let handed = starts.into_iter().map(wire::to_handed).collect::<Option<_>>();
        self.take_over(handed.ok_or_else(|| errors::invalid("one of them is no record"))?);
        Ok(())
    }
}
